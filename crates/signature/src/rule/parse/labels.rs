//! Classes of rules, which `classification.config` describes.

use hashbrown::HashMap;

use super::SettingsFault;
use crate::settings::Settings;

/// Priority of a rule that has none, nor a class that does.
pub(super) const DEFAULT_PRIORITY: u8 = 3;
const SETTING: &str = "classification-file";
const FORM: &str = "write: config classification: name,description,priority";
/// Bytes of the longest classification file.
const LONGEST: u64 = 1 << 24;

/// Descriptions and priorities of classes, by their short names.
pub(super) struct Classes(HashMap<Box<str>, Class>);

/// Description and priority.
type Class = (Box<str>, u8);

impl Classes {
    /// Reads the file that the settings name; no class is known without one.
    pub fn read(settings: &Settings) -> Result<Self, SettingsFault> {
        let Some(path) = settings.get(SETTING) else { return Ok(Classes(HashMap::new())) };
        let broken = |reason: String, suggestion: &str| SettingsFault {
            setting: format!("{SETTING} {path}"),
            reason,
            suggestion: suggestion.to_owned(),
        };
        let text = super::files::text(path.as_ref(), LONGEST)
            .map_err(|reason| broken(reason, "name a readable file, or leave the setting out"))?;
        Classes::parse(&text).map_err(|line| broken(format!("line {line} is no classification"), FORM))
    }

    /// Reads classifications; the error is the number of a line that is none.
    fn parse(text: &str) -> Result<Self, u32> {
        let mut classes = HashMap::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, class) = class(line).ok_or(number)?;
            classes.insert(name, class);
        }
        Ok(Classes(classes))
    }

    /// Returns the description and the priority of a class.
    pub fn get(&self, name: &str) -> Class {
        let lower = name.to_ascii_lowercase();
        let known = self.0.get(lower.as_str()).cloned();
        known.unwrap_or_else(|| ("Unknown Classtype".into(), DEFAULT_PRIORITY))
    }
}

fn class(line: &str) -> Option<(Box<str>, Class)> {
    let (_, value) = line.strip_prefix("config")?.trim_start().strip_prefix("classification")?.split_once(':')?;
    let (name, rest) = value.split_once(',')?;
    let (description, priority) = rest.rsplit_once(',')?;
    let name = name.trim().to_ascii_lowercase().into_boxed_str();
    Some((name, (description.trim().into(), priority.trim().parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_a_description_and_a_priority() {
        let classes =
            Classes::parse("# c\n\nconfig classification: Bad-Unknown, Potentially bad, traffic, 2\n").unwrap();
        assert_eq!(classes.get("bad-unknown"), ("Potentially bad, traffic".into(), 2));
        assert_eq!(classes.get("other"), ("Unknown Classtype".into(), 3));
        assert_eq!(Classes::parse("\nconfig classification: a,b\n").err(), Some(2));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_fault_of_the_settings() {
        let given = [("classification-file".to_owned(), "/nowhere/at all".to_owned())].into();
        let fault = Classes::read(&Settings { given, ..Settings::default() }).err().unwrap();
        assert!(fault.setting.contains("/nowhere/at all") && !fault.reason.is_empty());
    }
}
