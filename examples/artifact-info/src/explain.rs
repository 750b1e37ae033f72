//! What a code says that a device sent in the place of a text.

use mender::codes;

/// The message of which `words` are the code, or all words: a code, then codes of names and numbers.
pub fn explain(words: &[String]) -> Result<String, String> {
    let mut words = words.iter().flat_map(|word| word.split_whitespace());
    let first = words.next().unwrap_or("");
    let text = text(first).ok_or_else(|| {
        format!("{first} is no code: codes look like E145 or 145, and are listed in the documentation of mender::codes")
    })?;
    let mut message = text.to_owned();
    for word in words {
        // What has no code, such as a number, stands for itself.
        let part = word.strip_prefix('E').and_then(|_| self::text(word)).unwrap_or(word);
        message = match message.contains('…') {
            true => message.replacen('…', part, 1),
            false => format!("{message} {part}"),
        };
    }
    Ok(message)
}

fn text(code: &str) -> Option<&'static str> {
    codes::text(code.strip_prefix('E').unwrap_or(code).parse().ok()?)
}
