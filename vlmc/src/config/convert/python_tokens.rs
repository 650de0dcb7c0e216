//! Words of a Python file of literals.

use super::error::ConvertError;

/// What a text is made of. Line ends count only outside brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Name(String),
    Text(String),
    Integer(i128),
    Mark(char),
    LineEnd,
}

const LITERALS_ONLY: &str = "only assignments of texts, numbers, lists, tuples and dictionaries are read, nothing is executed: write the value itself";

/// The tokens with their lines.
pub fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ConvertError> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        depth: 0,
        found: Vec::new(),
    };
    while !lexer.rest.is_empty() {
        lexer.step()?;
    }
    let line = lexer.line;
    lexer.found.push((Token::LineEnd, line));
    Ok(lexer.found)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Brackets that are open.
    depth: usize,
    found: Vec<(Token, usize)>,
}

impl<'a> Lexer<'a> {
    fn step(&mut self) -> Result<(), ConvertError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(());
        };
        match first {
            '\n' => {
                self.advance(1);
                if self.depth == 0 {
                    self.push(Token::LineEnd);
                }
                self.line += 1;
            }
            ';' if self.depth == 0 => {
                self.advance(1);
                self.push(Token::LineEnd);
            }
            ' ' | '\t' | '\r' | '\u{c}' | '\u{feff}' => self.advance(first.len_utf8()),
            '#' => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            }
            '\\' if self.rest[1..].starts_with(['\n', '\r']) => {
                let end = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
                self.advance(end);
                self.line += 1;
            }
            '(' | '[' | '{' => {
                self.advance(1);
                self.depth += 1;
                self.push(Token::Mark(first));
            }
            ')' | ']' | '}' => {
                self.advance(1);
                self.depth = self.depth.saturating_sub(1);
                self.push(Token::Mark(first));
            }
            '=' | ',' | ':' | '-' => {
                self.advance(1);
                self.push(Token::Mark(first));
            }
            '"' | '\'' => self.text(first, false)?,
            _ if first.is_ascii_digit() => self.number()?,
            _ if first.is_alphabetic() || first == '_' => self.name()?,
            _ => {
                let what = format!("{:?} cannot be read", first);
                return Err(ConvertError::new(self.line, what, LITERALS_ONLY));
            }
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn push(&mut self, token: Token) {
        self.found.push((token, self.line));
    }

    fn word(&mut self) -> &'a str {
        let is_in_word = |c: char| c.is_alphanumeric() || c == '_';
        let end = self
            .rest
            .find(|c| !is_in_word(c))
            .unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.advance(end);
        word
    }

    fn name(&mut self) -> Result<(), ConvertError> {
        let word = self.word();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        match (quote, word.to_ascii_lowercase().as_str()) {
            (None, _) => self.push(Token::Name(word.to_owned())),
            (Some(quote), "u") => return self.text(quote, false),
            (Some(quote), "r" | "ur") => return self.text(quote, true),
            (Some(_), _) => {
                let what = format!("a text with the prefix {word:?}");
                return Err(ConvertError::new(self.line, what, "write a plain text"));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), ConvertError> {
        let word = self.word();
        let lower = word.to_ascii_lowercase().replace('_', "");
        // Long numbers of Python 2 ended with L.
        let digits = lower.strip_suffix('l').unwrap_or(&lower);
        let (radix, digits) = match digits.get(..2) {
            Some("0x") => (16, &digits[2..]),
            Some("0o") => (8, &digits[2..]),
            Some("0b") => (2, &digits[2..]),
            // Octal as Python 2 wrote it.
            _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
            _ => (10, digits),
        };
        let is_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        let number = i128::from_str_radix(digits, radix)
            .ok()
            .filter(|_| is_digits);
        match number {
            Some(number) if !self.rest.starts_with('.') => self.push(Token::Integer(number)),
            _ => {
                let what = format!("{word:?} begins no whole number of reasonable length");
                return Err(ConvertError::new(self.line, what, "write a whole number"));
            }
        }
        Ok(())
    }

    fn text(&mut self, quote: char, is_raw: bool) -> Result<(), ConvertError> {
        let start_line = self.line;
        let open_end = || ConvertError::new(start_line, "a text does not end", "close its quotes");
        let triple: String = [quote; 3].iter().collect();
        let is_triple = self.rest.starts_with(&triple);
        let end = if is_triple {
            triple.as_str()
        } else {
            &triple[..1]
        };
        self.advance(end.len());
        let mut text = String::new();
        loop {
            if self.rest.starts_with(end) {
                self.advance(end.len());
                self.found.push((Token::Text(text), start_line));
                return Ok(());
            }
            let Some(letter) = self.rest.chars().next() else {
                return Err(open_end());
            };
            self.advance(letter.len_utf8());
            match letter {
                '\n' if !is_triple => return Err(open_end()),
                '\n' => {
                    self.line += 1;
                    text.push('\n');
                }
                '\\' => self.escape(&mut text, is_raw)?,
                other => text.push(other),
            }
        }
    }

    /// What follows a backslash in a text.
    fn escape(&mut self, text: &mut String, is_raw: bool) -> Result<(), ConvertError> {
        let Some(letter) = self.rest.chars().next() else {
            return Ok(());
        };
        self.advance(letter.len_utf8());
        if letter == '\n' {
            self.line += 1;
        }
        match letter {
            _ if is_raw => text.extend(['\\', letter]),
            '\\' | '\'' | '"' => text.push(letter),
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            '\n' => {}
            _ if letter.is_ascii_digit() || "xuUN".contains(letter) => {
                let what = format!("a text with the escape \\{letter}");
                return Err(ConvertError::new(
                    self.line,
                    what,
                    "write the letter itself",
                ));
            }
            other => text.extend(['\\', other]),
        }
        Ok(())
    }
}
