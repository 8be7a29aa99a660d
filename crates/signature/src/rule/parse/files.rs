//! Files that rules and settings name.

use std::io::Read;
use std::path::Path;

/// Returns the bytes of a file of at most so many; the error says why not.
pub(super) fn bytes(path: &Path, longest: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // Opening a pipe or a device could wait for ever.
    if !path.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > longest {
        return Err(format!("it has more than {longest} bytes"));
    }
    Ok(bytes)
}

/// Returns the text of a file of at most so many bytes; the error says why not.
pub(super) fn text(path: &Path, longest: u64) -> Result<String, String> {
    String::from_utf8(bytes(path, longest)?).map_err(|_| "it is not UTF-8".to_owned())
}
