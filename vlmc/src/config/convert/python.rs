//! The form that was Python: assignments of literals. Nothing is executed, no name is looked up.

use super::error::ConvertError;
use super::legacy::{LegacyConfig, LegacyRole, LegacySetting, LegacyValue};
use super::python_tokens::{Token, tokens};

/// Deeper values are no configuration; and a text must not choose how deep we call.
const DEPTH_MAX: usize = 16;

const LITERALS_ONLY: &str =
    "only assignments of literals are read, nothing is executed: write NAME = value";

pub fn parse(text: &str) -> Result<LegacyConfig, ConvertError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let mut config = LegacyConfig::default();
    while let Some(setting) = parser.statement()? {
        take(&mut config, setting)?;
    }
    Ok(config)
}

fn take(config: &mut LegacyConfig, setting: LegacySetting) -> Result<(), ConvertError> {
    let line = setting.line;
    match setting.value {
        LegacyValue::List(items) if setting.key == "roles" => {
            // Assigned again, it is another list.
            config.roles = items
                .iter()
                .map(|item| role(item, line))
                .collect::<Result<_, _>>()?;
        }
        LegacyValue::Dict(items) => {
            let settings = items
                .into_iter()
                .map(|(key, value)| match key {
                    LegacyValue::Text(key) => Ok(LegacySetting { key, value, line }),
                    other => {
                        let what = format!("{} has the key {other}", setting.key);
                        Err(ConvertError::new(line, what, "write keys in quotes"))
                    }
                })
                .collect::<Result<_, _>>()?;
            config
                .role_settings
                .retain(|(name, _)| *name != setting.key);
            config.role_settings.push((setting.key, settings));
        }
        value => {
            config.globals.retain(|other| other.key != setting.key);
            let key = setting.key;
            config.globals.push(LegacySetting { key, value, line });
        }
    }
    Ok(())
}

fn role(item: &LegacyValue, line: usize) -> Result<LegacyRole, ConvertError> {
    if let LegacyValue::List(pair) = item
        && let [LegacyValue::Text(name), LegacyValue::Text(kind)] = pair.as_slice()
    {
        return Ok(LegacyRole {
            name: name.clone(),
            kind: Some(kind.clone()),
            line,
        });
    }
    let what = format!("roles has {item} in it");
    Err(ConvertError::new(
        line,
        what,
        "write pairs: ('blockerb', 'file_blocker')",
    ))
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn line(&self) -> usize {
        let last = self.tokens.last();
        self.tokens
            .get(self.at)
            .or(last)
            .map_or(1, |(_, line)| *line)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn skip(&mut self, mark: char) -> bool {
        let is_there = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(is_there);
        is_there
    }

    fn error(&self, what: impl Into<String>) -> ConvertError {
        ConvertError::new(self.line(), what, LITERALS_ONLY)
    }

    /// The next assignment. A text that stands alone is a remark.
    fn statement(&mut self) -> Result<Option<LegacySetting>, ConvertError> {
        loop {
            let line = self.line();
            match self.next() {
                None => return Ok(None),
                Some(Token::LineEnd | Token::Text(_)) => {}
                Some(Token::Name(key)) => {
                    if !self.skip('=') || self.peek() == Some(&Token::Mark('=')) {
                        let what = format!("no assignment, but {key:?} with something else");
                        return Err(ConvertError::new(line, what, LITERALS_ONLY));
                    }
                    let mut value = self.value(0)?;
                    // A tuple needs no brackets.
                    if self.peek() == Some(&Token::Mark(',')) {
                        value = self.bare_tuple(value)?;
                    }
                    return match self.next() {
                        None | Some(Token::LineEnd) => Ok(Some(LegacySetting { key, value, line })),
                        Some(_) => {
                            let what = format!("something follows the value of {key}");
                            Err(ConvertError::new(line, what, LITERALS_ONLY))
                        }
                    };
                }
                Some(_) => return Err(ConvertError::new(line, "no assignment", LITERALS_ONLY)),
            }
        }
    }

    fn bare_tuple(&mut self, first: LegacyValue) -> Result<LegacyValue, ConvertError> {
        let mut items = vec![first];
        while self.skip(',') {
            if matches!(self.peek(), None | Some(Token::LineEnd)) {
                break;
            }
            items.push(self.value(1)?);
        }
        Ok(LegacyValue::List(items))
    }

    fn value(&mut self, depth: usize) -> Result<LegacyValue, ConvertError> {
        if depth > DEPTH_MAX {
            return Err(self.error("values within values, too deep"));
        }
        let error = self.error("a value is missing, or is no literal");
        match self.next() {
            Some(Token::Text(mut text)) => {
                // Texts side by side are one.
                while let Some(Token::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                Ok(LegacyValue::Text(text))
            }
            Some(Token::Integer(number)) => Ok(LegacyValue::Integer(number)),
            Some(Token::Mark('-')) => match self.next() {
                Some(Token::Integer(number)) => Ok(LegacyValue::Integer(-number)),
                _ => Err(error),
            },
            Some(Token::Name(name)) => match name.as_str() {
                "True" => Ok(LegacyValue::Boolean(true)),
                "False" => Ok(LegacyValue::Boolean(false)),
                "None" => Ok(LegacyValue::Nothing),
                _ => Err(error),
            },
            Some(Token::Mark('[')) => self.items(']', depth),
            Some(Token::Mark('(')) => self.items(')', depth),
            Some(Token::Mark('{')) => self.dict(depth),
            _ => Err(error),
        }
    }

    fn items(&mut self, end: char, depth: usize) -> Result<LegacyValue, ConvertError> {
        let mut items = Vec::new();
        let mut has_comma = false;
        while !self.skip(end) {
            if !items.is_empty() && !has_comma {
                return Err(self.error(format!("a comma or {end:?} is missing")));
            }
            items.push(self.value(depth + 1)?);
            has_comma = self.skip(',');
        }
        // Brackets around one value are only brackets; the comma makes the tuple.
        if end == ')' && !has_comma && items.len() == 1 {
            return Ok(items.remove(0));
        }
        Ok(LegacyValue::List(items))
    }

    fn dict(&mut self, depth: usize) -> Result<LegacyValue, ConvertError> {
        let mut items: Vec<(LegacyValue, LegacyValue)> = Vec::new();
        let mut has_comma = true;
        while !self.skip('}') {
            if !has_comma {
                return Err(self.error("a comma or '}' is missing"));
            }
            let key = self.value(depth + 1)?;
            if !self.skip(':') {
                return Err(self.error("a colon is missing after a key"));
            }
            let value = self.value(depth + 1)?;
            items.retain(|(other, _)| *other != key);
            items.push((key, value));
            has_comma = self.skip(',');
        }
        Ok(LegacyValue::Dict(items))
    }
}
