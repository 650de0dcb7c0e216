//! The INI form of 0.4, with the rules of the reader that it had: keys in any case, `=` or `:`, `#` and `;`, values that go
//! on in indented lines. Its interpolation with `%` is refused rather than guessed at. Lines are kept for messages, which
//! is why no ready-made reader is used.

use super::error::ConvertError;
use super::legacy::{LegacyConfig, LegacyRole, LegacySetting, LegacyValue};

pub fn parse(text: &str) -> Result<LegacyConfig, ConvertError> {
    let mut config = LegacyConfig::default();
    for (section, settings) in sections(text)? {
        match section.as_str() {
            "DEFAULT" => {
                let line = settings.first().map_or(1, |setting| setting.line);
                let remedy = "write its settings into the sections that they are meant for";
                return Err(ConvertError::new(line, "a section DEFAULT", remedy));
            }
            "ARCHIPELAGO" | "XSEG" => {
                for mut setting in settings {
                    setting.key = setting.key.to_uppercase();
                    config.globals.push(setting);
                }
            }
            "PEERS" => peers(&mut config, settings),
            _ => config.role_settings.push((section, settings)),
        }
    }
    Ok(config)
}

fn peers(config: &mut LegacyConfig, settings: Vec<LegacySetting>) {
    for setting in settings {
        match &setting.value {
            LegacyValue::Text(names) if setting.key == "roles" => {
                config.roles = names
                    .split_whitespace()
                    .map(|name| LegacyRole {
                        name: name.to_owned(),
                        kind: None,
                        line: setting.line,
                    })
                    .collect();
            }
            _ => config.globals.push(LegacySetting {
                key: setting.key.to_uppercase(),
                ..setting
            }),
        }
    }
}

type Section = (String, Vec<LegacySetting>);

fn sections(text: &str) -> Result<Vec<Section>, ConvertError> {
    let mut sections: Vec<Section> = Vec::new();
    let mut goes_on = false;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        let line = raw.trim_start_matches('\u{feff}');
        let content = without_comment(line).trim();
        if content.is_empty() {
            goes_on = goes_on && line.trim_start().starts_with(['#', ';']);
            continue;
        }
        let last = sections.last_mut();
        if line.starts_with([' ', '\t']) && goes_on {
            let setting = last.and_then(|(_, settings)| settings.last_mut());
            if let Some(LegacySetting {
                value: LegacyValue::Text(value),
                ..
            }) = setting
            {
                value.push(' ');
                value.push_str(&plain(content, number)?);
            }
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            let name = rest.split(']').next().unwrap_or(rest).trim().to_owned();
            if !rest.contains(']') || name.is_empty() {
                let what = "the name of a section does not end, or is empty";
                return Err(ConvertError::new(number, what, "write [NAME]"));
            }
            goes_on = false;
            if sections.iter().any(|(other, _)| *other == name) {
                let what = format!("a second section {name}");
                return Err(ConvertError::new(number, what, "join the two"));
            }
            sections.push((name, Vec::new()));
            continue;
        }
        let Some((_, settings)) = last else {
            let what = "a setting before the first section";
            return Err(ConvertError::new(number, what, "write [SECTION] above it"));
        };
        let setting = setting(content, number)?;
        settings.retain(|other| other.key != setting.key);
        settings.push(setting);
        goes_on = true;
    }
    Ok(sections)
}

/// `;` begins a comment after a space, `#` only at the start of a line.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let end = line.find(" ;").or_else(|| line.find("\t;"));
    &line[..end.unwrap_or(line.len())]
}

fn setting(content: &str, line: usize) -> Result<LegacySetting, ConvertError> {
    let Some((key, value)) = content.split_once(['=', ':']) else {
        let what = format!("\"{}\" is no setting", content.escape_debug());
        return Err(ConvertError::new(line, what, "write KEY = value"));
    };
    let key = key.trim().to_lowercase();
    if key.is_empty() {
        return Err(ConvertError::new(
            line,
            "a value without a key",
            "write KEY = value",
        ));
    }
    let value = LegacyValue::Text(plain(value.trim(), line)?);
    Ok(LegacySetting { key, value, line })
}

/// `%%` was how one wrote `%`; any other use stood for another setting's value.
fn plain(value: &str, line: usize) -> Result<String, ConvertError> {
    if value.replace("%%", "").contains('%') {
        let what = "a value with % takes another setting's value in";
        let remedy = "write the value itself; %% for a plain %";
        return Err(ConvertError::new(line, what, remedy));
    }
    Ok(value.replace("%%", "%"))
}
