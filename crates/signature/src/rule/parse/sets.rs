//! Sets of values that rules ask for and files name: dataset, datarep, filemd5 and its kin (User Guide, "Datasets").

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use hashbrown::{HashMap, HashSet};

use super::draft::{Buffer, Draft};
use super::fault::{fault, refuse, Result};
use super::files;
use super::numbers::comparison;
use super::options::{negation, parts, unquoted, whole, RuleOption};
use super::places::number;
use crate::field::Field;
use crate::rule::{Dataset, DatasetKind, DatasetMode, DatasetTest, FileTest, HashKind, Match, PacketTest};
use crate::settings::Settings;

/// Bytes of the longest file of values.
const LONGEST: u64 = 1 << 27;

type Hashes = Arc<HashSet<Box<[u8]>>>;
type Values = HashMap<Box<[u8]>, u16>;

/// The sets of a reading, so that rules which name the same one share it.
#[derive(Default)]
pub(super) struct Sets {
    named: HashMap<Box<str>, Arc<Dataset>>,
    hashes: HashMap<(PathBuf, u8), Hashes>,
}

/// What a `dataset` or `datarep` says of its set.
#[derive(Default)]
struct Described<'a> {
    kind: Option<DatasetKind>,
    /// File that must be there.
    load: Option<&'a str>,
    /// File that is there once somebody has saved it.
    state: Option<&'a str>,
    is_json: bool,
    subdomains: bool,
    value_key: Option<&'a str>,
    array_key: Option<&'a str>,
}

impl<'a> Described<'a> {
    fn read(words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut described = Described::default();
        for word in words {
            let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
            described.take(name, value.trim(), word)?;
        }
        Ok(described)
    }

    fn take(&mut self, name: &str, value: &'a str, word: &str) -> Result<()> {
        match name {
            "type" => self.kind = Some(kind(value)?),
            "load" => self.load = Some(value),
            "state" => self.state = Some(value),
            "save" => {}
            "memcap" | "hashsize" | "context_key" | "enrichment_key" | "remove_key" => {}
            "format" => self.is_json = matches!(value, "json" | "ndjson" | "jsonline"),
            "match" => self.subdomains = one_of(value, "exact", "subdomain")?,
            "value_key" => self.value_key = Some(value),
            "array_key" => self.array_key = Some(value),
            _ => {
                return refuse(
                    format!("a set does not know {word:.40?}"),
                    "write type string, load FILE, state FILE, ...",
                )
            }
        }
        Ok(())
    }

    /// Fills in what the settings say of the set.
    fn complete(&mut self, name: &str, settings: &'a Settings) -> Result<()> {
        let given = |what: &str| settings.get(&format!("datasets.{name}.{what}"));
        for what in ["type", "load", "state"] {
            let is_missing = match what {
                "type" => self.kind.is_none(),
                "load" => self.load.is_none(),
                _ => self.state.is_none(),
            };
            if let (true, Some(value)) = (is_missing, given(what)) {
                self.take(what, value, what)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a word is the second of two.
fn one_of(word: &str, first: &str, second: &str) -> Result<bool> {
    if word != first && word != second {
        return refuse(format!("{word:.20?} is not known"), format!("write {first} or {second}"));
    }
    Ok(word == second)
}

fn kind(name: &str) -> Result<DatasetKind> {
    Ok(match name {
        "string" => DatasetKind::String,
        "md5" => DatasetKind::Md5,
        "sha256" => DatasetKind::Sha256,
        "ip" | "ipv4" => DatasetKind::Ip,
        _ => return refuse(format!("{name:.20?} is no type of a set"), "write string, md5, sha256, ipv4 or ip"),
    })
}

/// Reads `dataset:MODE,NAME[,type TYPE][,load FILE]...`.
pub(super) fn dataset(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let mode = match words.next().unwrap_or_default() {
        "isset" => DatasetMode::IsSet,
        "isnotset" => DatasetMode::IsNotSet,
        "set" => DatasetMode::Set,
        "unset" => DatasetMode::Unset,
        other => return refuse(format!("dataset does not know {other:.40?}"), "write isset, isnotset, set or unset"),
    };
    let name = name(words.next())?;
    let described = Described::read(words)?;
    let (subdomains, set) = (described.subdomains, find(draft, name, described, false)?);
    add(draft, DatasetTest { mode, subdomains, set })
}

/// Reads `datarep:NAME,OPERATOR,NUMBER[,type TYPE][,load FILE]...`.
pub(super) fn datarep(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let name = name(words.next())?;
    let (operator, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let operator = if operator == "==" { "=" } else { operator };
    let compare = comparison(&format!("{operator}{value}"), 65_535);
    let compare = compare
        .ok_or_else(|| fault(format!("datarep compares {operator:.10?} {value:.10?}"), "write: datarep:NAME,>,200"))?;
    let set = find(draft, name, Described::read(words)?, true)?;
    add(draft, DatasetTest { mode: DatasetMode::Reputation(compare), subdomains: false, set })
}

fn name(word: Option<&str>) -> Result<&str> {
    let name = word.filter(|name| !name.is_empty() && name.len() <= 63 && !name.contains(char::is_whitespace));
    name.ok_or_else(|| fault("a set has no name", "write a name of at most 63 characters without spaces"))
}

/// Adds a test of a set to the present buffer.
fn add(draft: &mut Draft<'_, '_>, dataset: DatasetTest) -> Result<()> {
    match *draft.buffer() {
        Buffer::IpAddress { is_source } => draft.test_address(PacketTest::IpDataset { source: is_source, dataset }),
        Buffer::Payload => return refuse("a set has no buffer before it", "write it after the name of a buffer"),
        _ => return draft.test(Match::Dataset(dataset)),
    }
    Ok(())
}

/// Returns the set of a name, which is read when it is named first.
fn find(draft: &mut Draft<'_, '_>, name: &str, described: Described<'_>, has_reputation: bool) -> Result<Arc<Dataset>> {
    let context = &mut *draft.context;
    if let Some(known) = context.sets.named.get(name) {
        if described.kind.is_some_and(|kind| kind != known.kind) {
            return refuse(format!("the set {name} has another type elsewhere"), "give it one type");
        }
        return Ok(known.clone());
    }
    let settings = context.settings;
    let mut described = described;
    described.complete(name, settings)?;
    let Some(kind) = described.kind else {
        return refuse(format!("nothing says what the set {name} is"), "write its type: dataset:set,NAME,type string");
    };
    let folders = [context.folder.clone(), settings.get("default-rule-path").map(PathBuf::from)];
    let mut values = Values::new();
    if let Some((file, is_needed)) =
        described.load.map(|file| (file, true)).or(described.state.map(|file| (file, false)))
    {
        match text(&folders, file) {
            Ok(text) => values = read_values(&text, kind, &described, has_reputation)?,
            Err(reason) if is_needed => {
                return refuse(format!("the file {file:.80} of a set: {reason}"), "name a readable file")
            }
            Err(_) => {}
        }
    }
    let set = Arc::new(Dataset { name: name.into(), kind, values: RwLock::new(values) });
    context.sets.named.insert(name.into(), set.clone());
    Ok(set)
}

/// Returns the text of a file in the first of some folders that has it.
fn text(folders: &[Option<PathBuf>], file: &str) -> std::result::Result<String, String> {
    files::text(&resolve(folders, file), LONGEST)
}

fn resolve(folders: &[Option<PathBuf>], file: &str) -> PathBuf {
    let places = folders.iter().flatten().map(|folder| folder.join(file));
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| Path::new(file).to_owned())
}

fn read_values(text: &str, kind: DatasetKind, described: &Described<'_>, has_reputation: bool) -> Result<Values> {
    if described.is_json {
        return json_values(text, kind, described);
    }
    let mut values = Values::new();
    for (line, text) in (1_u32..).zip(text.lines()).map(|(line, text)| (line, text.trim())) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (value, reputation) = text.split_once(',').map_or((text, None), |(value, rest)| (value, Some(rest)));
        let reputation = reputation.map_or(Some(0), whole).filter(|_| has_reputation == reputation.is_some());
        let value = if kind == DatasetKind::String { base64(value) } else { parsed(value, kind) };
        let (Some(value), Some(reputation)) = (value, reputation) else {
            return refuse(
                format!("line {line} of a set's file is no value"),
                "write one value on each line: strings in Base64",
            );
        };
        values.insert(value, reputation);
    }
    Ok(values)
}

/// Reads a value as it is written; strings as they are.
fn parsed(text: &str, kind: DatasetKind) -> Option<Box<[u8]>> {
    let text = text.trim();
    match kind {
        DatasetKind::String => Some(text.as_bytes().into()),
        DatasetKind::Md5 => hexadecimal(text, 16),
        DatasetKind::Sha256 => hexadecimal(text, 32),
        DatasetKind::Ip => text.parse::<IpAddr>().ok().map(|address| number(address).to_be_bytes().into()),
    }
}

fn hexadecimal(text: &str, bytes: usize) -> Option<Box<[u8]>> {
    let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    (decoded.len() == bytes).then(|| decoded.into())
}

fn base64(text: &str) -> Option<Box<[u8]>> {
    let text = text.trim().trim_end_matches('=');
    data_encoding::BASE64_NOPAD.decode(text.as_bytes()).ok().map(Vec::into_boxed_slice)
}

/// Reads values from a JSON array, an object that holds one, or an object on each line.
fn json_values(text: &str, kind: DatasetKind, described: &Described<'_>) -> Result<Values> {
    let wrong = || fault("a set's file is not the JSON it is said to be", "see format, value_key and array_key");
    let whole: Vec<serde_json::Value> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| wrong())?;
    let inner = |value: serde_json::Value| match described.array_key.and_then(|key| pointed(&value, key)) {
        Some(inner) => inner.clone(),
        None => value,
    };
    let flat = whole.into_iter().map(inner).flat_map(|value| match value {
        serde_json::Value::Array(values) => values,
        value => vec![value],
    });
    let key = described.value_key.unwrap_or("value");
    let value = |object: serde_json::Value| pointed(&object, key)?.as_str().and_then(|text| parsed(text, kind));
    flat.map(|object| value(object).map(|value| (value, 0)).ok_or_else(wrong)).collect()
}

/// Follows a dotted path into an object.
fn pointed<'a>(value: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

/// Reads `filemd5:[!]FILE` and its kin.
pub(super) fn file_hash(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (kind, bytes) = match option.keyword {
        "filemd5" => (HashKind::Md5, 16),
        "filesha1" => (HashKind::Sha1, 20),
        _ => (HashKind::Sha256, 32),
    };
    let (negated, file) = negation(unquoted(option.needed()?));
    let hashes = hashes(draft, file, bytes)?;
    draft.require_protocols(Field::FileName.protocols())?;
    draft.rule.files.push(FileTest::Hash { kind, negated, hashes });
    Ok(())
}

fn hashes(draft: &mut Draft<'_, '_>, file: &str, bytes: u8) -> Result<Hashes> {
    let context = &mut *draft.context;
    let folders = [context.folder.clone(), context.settings.get("default-rule-path").map(PathBuf::from)];
    let key = (resolve(&folders, file), bytes);
    if let Some(known) = context.sets.hashes.get(&key) {
        return Ok(known.clone());
    }
    let text = files::text(&key.0, LONGEST)
        .map_err(|reason| fault(format!("the file {file:.80} of hashes: {reason}"), "name a readable file"))?;
    let mut hashes = HashSet::new();
    for (line, text) in (1_u32..).zip(text.lines()).map(|(line, text)| (line, text.trim())) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let hash = text.split_whitespace().next().and_then(|hash| hexadecimal(hash, usize::from(bytes)));
        hashes.insert(
            hash.ok_or_else(|| fault(format!("line {line} of {file:.80} is no hash"), "write one hash on each line"))?,
        );
    }
    let hashes = Arc::new(hashes);
    context.sets.hashes.insert(key, hashes.clone());
    Ok(hashes)
}
