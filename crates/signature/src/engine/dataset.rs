//! Named sets of values that rules look up and add to.

use crate::rule::{DatasetKind, DatasetMode, DatasetTest};

/// Values of one set that rules may add.
const MAX_VALUES: usize = 1 << 20;

/// Tells whether a value passes the test of a set; `set` and `unset` change the set and pass if that changed it.
pub fn holds(test: &DatasetTest, value: &[u8]) -> bool {
    let key = key(test.set.kind, value);
    let Some(key) = key else { return false };
    match &test.mode {
        DatasetMode::IsSet => reputation(test, &key).is_some(),
        DatasetMode::IsNotSet => reputation(test, &key).is_none(),
        DatasetMode::Reputation(compare) => reputation(test, &key).is_some_and(|value| compare.holds(u64::from(value))),
        DatasetMode::Set => {
            let Ok(mut values) = test.set.values.write() else { return false };
            values.len() < MAX_VALUES && values.insert(key, 0).is_none()
        }
        DatasetMode::Unset => test.set.values.write().is_ok_and(|mut values| values.remove(&key).is_some()),
    }
}

fn reputation(test: &DatasetTest, key: &[u8]) -> Option<u16> {
    let values = test.set.values.read().ok()?;
    let ends = key.iter().enumerate().filter(|(_, byte)| **byte == b'.').filter_map(|(dot, _)| key.get(dot..));
    let ends = ends.filter(|_| test.subdomains);
    values.get(key).copied().or_else(|| ends.into_iter().find_map(|end| values.get(end).copied()))
}

/// Returns a value as the set holds it: hashes of 16 and 32 bytes, which are not made here (`to_md5`, `to_sha256` make
/// them), addresses of 16.
fn key(kind: DatasetKind, value: &[u8]) -> Option<Box<[u8]>> {
    Some(match kind {
        DatasetKind::String => value.into(),
        DatasetKind::Md5 if value.len() == 16 => value.into(),
        DatasetKind::Sha256 if value.len() == 32 => value.into(),
        DatasetKind::Md5 | DatasetKind::Sha256 => return None,
        DatasetKind::Ip => match value.len() {
            4 => [&[0; 10][..], &[0xff; 2], value].concat().into(),
            16 => value.into(),
            _ => return None,
        },
    })
}
