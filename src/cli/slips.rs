//! What people type who know kubectl, or half of this program: clap says that it is wrong, and here it is said
//! what was meant. A tip is only given where typing it works.

use std::ffi::OsString;

use clap::{
    Arg, Command,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::cluster::explain::rights::quoted;

/// Verbs of other programs, and what is meant by them here.
const OTHERS: [(&str, Meant); 14] = [
    ("describe", Meant::Ours("jobs show")),
    ("get", Meant::Ours("jobs list")),
    ("kill", Meant::Ours("jobs cancel")),
    ("ps", Meant::Ours("jobs list")),
    ("stop", Meant::Ours("jobs cancel")),
    ("create", Meant::Ours("run")),
    ("version", Meant::Ours("--version")),
    ("delete", Meant::KubectlOf("delete hj")),
    ("rm", Meant::KubectlOf("delete hj")),
    ("edit", Meant::KubectlOf("edit hj")),
    ("apply", Meant::Kubectl("apply -f FILE")),
    ("agents", Meant::Kubectl("get agents")),
    ("agent", Meant::Kubectl("get agents")),
    ("ha", Meant::Kubectl("get agents")),
];

#[derive(Clone, Copy, Debug)]
enum Meant {
    /// Of this program.
    Ours(&'static str),
    Kubectl(&'static str),
    /// Kubectl, with the name that follows.
    KubectlOf(&'static str),
}

/// The same error with what was meant, where that can be known.
pub fn with_hint(
    command: &mut Command,
    mut error: clap::Error,
    program: &str,
    arguments: &[OsString],
) -> clap::Error {
    let words = Words::of(command, arguments);
    if let Some(verb) = context(&error, ContextKind::InvalidSubcommand) {
        let error_with = misplaced(command, &verb, program, &words);
        return error_with.unwrap_or(error);
    }
    let Some(argument) = context(&error, ContextKind::InvalidArg) else {
        return error;
    };
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => {
            // Nothing here takes a word that begins with a dash after `--`.
            error.remove(ContextKind::Suggested);
            unknown(command, &mut error, &argument, program, &words)
        }
        ErrorKind::NoEquals => choices(words.verb(command), &argument),
        _ => None,
    };
    if let Some(tip) = tip {
        let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// What was typed, and which verb it is for.
struct Words {
    verb: Vec<String>,
    /// All that stands after it.
    rest: Vec<String>,
}

impl Words {
    fn of(command: &Command, arguments: &[OsString]) -> Self {
        let typed = arguments.iter().skip(1);
        let typed = typed.map(|word| word.to_string_lossy().into_owned());
        let (mut verb, mut rest, mut at) = (Vec::new(), Vec::new(), command);
        let mut names_verb = true;
        let mut is_value = false;
        for word in typed {
            let next = at.find_subcommand(&word);
            if let Some(next) = next.filter(|_| names_verb && !is_value) {
                verb.push(next.get_name().to_owned());
                at = next;
                continue;
            }
            names_verb &= is_value || word.starts_with('-');
            let flag = option(at, &word).or_else(|| option(command, &word));
            is_value = flag.is_some_and(|flag| flag.get_action().takes_values());
            rest.push(word);
        }
        Words { verb, rest }
    }

    fn verb<'a>(&self, command: &'a Command) -> &'a Command {
        let steps = self.verb.iter();
        steps.fold(command, |at, name| at.find_subcommand(name).unwrap_or(at))
    }

    fn is(&self, verb: &[&str]) -> bool {
        self.verb == verb
    }

    /// What follows this word, up to the next flag.
    fn after(&self, word: &str) -> &[String] {
        let begin = self.rest.iter().position(|one| one == word);
        let from = begin.map_or(self.rest.len(), |at| at + 1);
        let after = &self.rest[from..];
        let end = after.iter().position(|one| one.starts_with('-'));
        &after[..end.unwrap_or(after.len())]
    }

    /// What stands before the word that begins so: of `-1h` clap names `-1` only.
    fn before(&self, begin: &str) -> Option<&str> {
        let at = self.rest.iter().position(|one| one.starts_with(begin))?;
        Some(self.rest.get(at.checked_sub(1)?)?)
    }
}

/// A verb that stands in the wrong place or has another name here.
fn misplaced(
    command: &mut Command,
    verb: &str,
    program: &str,
    words: &Words,
) -> Option<clap::Error> {
    let of_jobs = command
        .find_subcommand("jobs")
        .is_some_and(|jobs| jobs.find_subcommand(verb).is_some());
    let other = OTHERS.iter().find(|(other, _)| *other == verb);
    let meant = match other {
        _ if of_jobs => format!("{program} jobs {verb}"),
        _ if command.find_subcommand(verb).is_some() => format!("{program} {verb}"),
        Some((_, Meant::Ours(meant))) => format!("{program} {meant}"),
        Some((_, Meant::Kubectl(meant))) => format!("kubectl {meant}"),
        Some((_, Meant::KubectlOf(meant))) => {
            let name = words.after(verb).first();
            format!("kubectl {meant} {}", name.map_or("NAME", String::as_str))
        }
        None => return None,
    };
    let words = format!("unrecognized subcommand '{verb}'; did you mean: {meant}");
    Some(command.error(ErrorKind::InvalidSubcommand, words))
}

fn unknown(
    command: &Command,
    error: &mut clap::Error,
    argument: &str,
    program: &str,
    words: &Words,
) -> Option<String> {
    let verb = words.verb(command);
    if !argument.starts_with('-') {
        return too_many(argument, program, words);
    }
    let before = words.before(argument).and_then(|flag| option(verb, flag));
    if let Some(flag) = before.filter(|flag| flag.get_action().takes_values()) {
        return Some(format!("a value of '{flag}' does not begin with a dash"));
    }
    let owners = owners(command, argument);
    if owners.is_empty() {
        return None;
    }
    // It is no slip of the pen for a flag that is here.
    error.remove(ContextKind::SuggestedArg);
    error.insert(
        ContextKind::Usage,
        ContextValue::StyledStr(verb.clone().render_usage()),
    );
    let owners: Vec<String> = owners
        .iter()
        .map(|verb| format!("{program} {verb}"))
        .collect();
    Some(format!(
        "{argument} is only a flag of {}",
        owners.join(" and ")
    ))
}

/// A word more than the verb takes.
fn too_many(word: &str, program: &str, words: &Words) -> Option<String> {
    if words.is(&["jobs", "list"]) {
        return Some(format!("to see one Job: {program} jobs show {word}"));
    }
    if !words.is(&["run"]) && !words.is(&["jobs", "resume"]) {
        return None;
    }
    let given = ["-p", "--prompt"]
        .into_iter()
        .map(|flag| words.after(flag))
        .find(|after| !after.is_empty());
    let (how, text) = match given {
        Some(text) => ("put a prompt of several words in quotes", text.join(" ")),
        None => {
            let more = words.after(word);
            let all: Vec<&str> = [word]
                .into_iter()
                .chain(more.iter().map(String::as_str))
                .collect();
            ("a prompt is given as", all.join(" "))
        }
    };
    Some(format!("{how}: --prompt {}", quoted(&text)))
}

/// A flag of this verb, as it was typed.
fn option<'a>(verb: &'a Command, typed: &str) -> Option<&'a Arg> {
    let long = typed.strip_prefix("--");
    let short = typed.strip_prefix('-').filter(|_| long.is_none());
    let is = |arg: &&Arg| match (long, short) {
        (Some(long), _) => arg.get_long() == Some(long),
        (None, Some(short)) => arg.get_short().is_some_and(|one| short == one.to_string()),
        (None, None) => false,
    };
    verb.get_arguments().find(is)
}

/// The verbs that have this flag.
fn owners(command: &Command, flag: &str) -> Vec<String> {
    let mut found = Vec::new();
    for verb in command.get_subcommands() {
        let name = verb.get_name();
        found.extend(option(verb, flag).map(|_| name.to_owned()));
        let inner = verb.get_subcommands();
        let inner = inner.filter(|verb| option(verb, flag).is_some());
        found.extend(inner.map(|verb| format!("{name} {}", verb.get_name())));
    }
    found
}

/// How a flag is given whose value must follow an equals sign.
fn choices(verb: &Command, argument: &str) -> Option<String> {
    let flag = argument.split('=').next().unwrap_or(argument);
    let values = option(verb, flag)?.get_possible_values();
    let values: Vec<String> = values
        .iter()
        .map(|value| format!("{flag}={}", value.get_name()))
        .collect();
    (!values.is_empty()).then(|| format!("write {}", values.join(" or ")))
}
