//! What Java clients say of themselves in `sasl.jaas.config`: a login module and its options.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::config::Secret;

/// One login module. Its options may be secrets, so that it has no form to print.
#[derive(PartialEq, Eq)]
pub(super) struct LoginModule {
    /// The class, without its package.
    pub(super) name: String,
    pub(super) options: BTreeMap<String, String>,
}

impl LoginModule {
    /// Reads `class flag name="value" ...;`, and tells what is wrong without repeating it: some of
    /// it is secret.
    pub(super) fn parse(config: &Secret) -> Result<Self, &'static str> {
        let mut tokens = Tokens(config.expose().chars().peekable());
        let Some(Token::Text(class)) = tokens.next()? else {
            return Err("it does not begin with the class of a login module");
        };
        let name = class.rsplit('.').next().unwrap_or_default().to_owned();
        match tokens.next()? {
            Some(Token::Text(flag)) if FLAGS.contains(&flag.to_ascii_lowercase().as_str()) => {}
            _ => return Err("after the class, `required` is expected"),
        }
        let mut options = BTreeMap::new();
        loop {
            match tokens.next()? {
                Some(Token::End) => break,
                Some(Token::Text(name)) => {
                    let (Some(Token::Equals), Some(Token::Text(value))) =
                        (tokens.next()?, tokens.next()?)
                    else {
                        return Err("an option is not `name=\"value\"`");
                    };
                    options.insert(name, value);
                }
                Some(Token::Equals) => return Err("an option has no name"),
                None => return Err("there is no `;` at its end"),
            }
        }
        match tokens.next()? {
            None => Ok(Self { name, options }),
            Some(_) => Err("there is more than one login module"),
        }
    }

    /// The value of an option.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The options whose names begin with `prefix`, without it.
    pub(super) fn options_of<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let rest = move |(name, value): (&'a String, &'a String)| {
            Some((name.strip_prefix(prefix)?, value.as_str()))
        };
        self.options.iter().filter_map(rest)
    }
}

const FLAGS: [&str; 4] = ["required", "requisite", "sufficient", "optional"];

enum Token {
    Text(String),
    Equals,
    End,
}

struct Tokens<'a>(Peekable<Chars<'a>>);

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, &'static str> {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(first) = self.0.next() else { return Ok(None) };
        Ok(Some(match first {
            '=' => Token::Equals,
            ';' => Token::End,
            '"' | '\'' => Token::Text(self.quoted(first)?),
            _ => Token::Text(self.bare(first)),
        }))
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut text = String::new();
        loop {
            match self.0.next() {
                Some(end) if end == quote => return Ok(text),
                Some('\\') => match self.0.next() {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(escaped) => text.push(escaped),
                    None => return Err(OPEN),
                },
                Some(other) => text.push(other),
                None => return Err(OPEN),
            }
        }
    }

    fn bare(&mut self, first: char) -> String {
        let mut text = String::from(first);
        while let Some(next) = self.0.next_if(|c| !c.is_whitespace() && !"=;\"'".contains(*c)) {
            text.push(next);
        }
        text
    }
}

const OPEN: &str = "a quote is not closed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_as_java_reads_them() {
        let check = |text: &str, name: &str, options: &[(&str, &str)]| {
            let module = LoginModule::parse(&text.into()).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(module.name, name);
            let read: Vec<_> = module
                .options
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(read, options);
        };
        check(
            "org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"ann\" password=\"a;b=\\\"c\\\"\\\\\";",
            "PlainLoginModule",
            &[("password", "a;b=\"c\"\\"), ("username", "ann")],
        );
        check(
            "x.ScramLoginModule  REQUIRED\n  username = 'ann'\n  password=bare ; ",
            "ScramLoginModule",
            &[("password", "bare"), ("username", "ann")],
        );
        check("OAuthBearerLoginModule required;", "OAuthBearerLoginModule", &[]);
    }

    #[test]
    fn mistakes_are_told_without_secrets() {
        let check = |text: &str, told: &str| {
            let error = LoginModule::parse(&text.into()).err().unwrap();
            assert!(error.contains(told), "{text}: {error}");
        };
        check("", "does not begin with the class");
        check("a.B", "`required` is expected");
        check("a.B username=\"x\";", "`required` is expected");
        check("a.B required username=\"x\"", "no `;`");
        check("a.B required username \"x\";", "not `name=\"value\"`");
        check("a.B required username=;", "not `name=\"value\"`");
        check("a.B required =\"x\";", "has no name");
        check("a.B required password=\"x;", "not closed");
        check("a.B required; a.C required;", "more than one");
    }
}
