//! Regular expressions over the names of topics, as RE2 has them: without look-around or
//! back-references, so that matching takes no longer than the text. Names are ASCII, and so are the
//! classes.

use std::collections::BTreeSet;

use klamm_protocol::wire::Str;
use regex_lite::{Error, Regex};

use super::topics::Topics;

/// Reads a pattern, which is to match whole names.
///
/// # Errors
/// It is no regular expression.
pub(super) fn compile(pattern: &str) -> Result<Regex, Error> {
    let pattern = unquoted(pattern);
    // By itself first: `)|(` is one only within the parentheses.
    Regex::new(&pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

/// The topics whose names a pattern matches; none if it is no regular expression.
pub(super) fn matching(pattern: &str, topics: &Topics) -> BTreeSet<Str> {
    let Ok(regex) = compile(pattern) else { return BTreeSet::new() };
    topics.names().filter(|name| regex.is_match(name)).cloned().collect()
}

/// Without `\Q` and `\E`, between which RE2 takes everything for what it is.
fn unquoted(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        if let Some(quoted) = escaped.strip_prefix('Q') {
            let (text, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&regex_lite::escape(text));
            rest = behind;
        } else {
            let (letter, behind) = escaped.split_at(escaped.ceil_char_boundary(1));
            plain.push('\\');
            plain.push_str(letter);
            rest = behind;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_matched() {
        let check = |pattern, name, expected| {
            let is_match = compile(pattern).unwrap().is_match(name);
            assert_eq!(is_match, expected, "{pattern} {name}");
        };
        check("order", "order", true);
        check("order", "orders", false);
        check("order|bill", "bill", true);
        check("order|bill", "bills", false);
        check("(?i)ORDER.*", "orders", true);
        check(r"\Qa.b\E.*", "a.b-1", true);
        check(r"\Qa.b\E.*", "a-b-1", false);
        check(r"\Qa.b", "a.b", true);
        check(r"\\Q", r"\Q", true);
        check(r"\d+", "12", true);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["(", ")|(", "a{2", "(?<=a)b", r"(a)\1", "\\"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
