//! The rules: what must stand together in the attribute. Checked at once where the values are literals, else by const
//! assertions in the generated code.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Ident, LitStr};

use crate::args::{Args, ArtifactType, Entry, Flag};
use crate::errors::Errors;
use crate::names::State;
use crate::parse::Item;

/// A definition that keeps all rules, as far as they can be checked before types are known.
pub struct Table<'a> {
    pub artifact_type: Value<'a>,
    pub requires_reboot: Value<'a>,
    pub supports_rollback: Value<'a>,
    pub no_payload: bool,
    pub download: Option<&'a Ident>,
    /// The methods and their states, in the order of the attribute; a method occurs once.
    pub calls: Vec<(&'a Ident, Vec<State>)>,
    /// The states that succeed at once.
    pub unlisted: Vec<State>,
    pub assertions: Vec<Assertion>,
}

/// The value of an argument.
pub enum Value<'a> {
    Text(&'a LitStr),
    Bool(bool),
    Const(&'a Expr),
}

/// A rule that depends on const expressions.
pub struct Assertion {
    pub span: Span,
    /// Must be true. Made of the [`local`] names `requires_reboot`, `supports_rollback` and `artifact_type`.
    pub condition: TokenStream,
    pub message: String,
}

/// Applies every rule. `None` if one is broken.
pub fn check<'a>(args: &'a Args, item: &Item, errors: &mut Errors) -> Option<Table<'a>> {
    let mut rules = Rules {
        args,
        item,
        errors,
        assertions: Vec::new(),
    };
    let artifact_type = rules.artifact_type();
    rules.states_once();
    rules.download_present();
    rules.download_alone();
    rules.reboot();
    rules.rollback();
    let assertions = rules.assertions;
    if !errors.is_empty() {
        return None;
    }

    let mut calls: Vec<(&Ident, Vec<State>)> = Vec::new();
    let mut download = None;
    for Entry { states, method } in &args.entries {
        let method = method.as_ref()?;
        for listed in states {
            if listed.state == State::Download {
                download = Some(method);
            } else if let Some((_, states)) = calls.iter_mut().find(|(known, _)| *known == method) {
                states.push(listed.state);
            } else {
                calls.push((method, vec![listed.state]));
            }
        }
    }
    let unlisted = State::ALL
        .into_iter()
        .filter(|state| state.variant().is_some() && !args.lists(*state))
        .collect();
    Some(Table {
        artifact_type: artifact_type?,
        requires_reboot: args.requires_reboot.value()?,
        supports_rollback: args.supports_rollback.value()?,
        no_payload: args.no_payload,
        download,
        calls,
        unlisted,
        assertions,
    })
}

impl Flag {
    fn value(&self) -> Option<Value<'_>> {
        match self {
            Flag::Absent => Some(Value::Bool(false)),
            Flag::Broken => None,
            Flag::Literal { value, .. } => Some(Value::Bool(*value)),
            Flag::Const { value, .. } => Some(Value::Const(value)),
        }
    }

    fn span(&self) -> Option<Span> {
        match self {
            Flag::Absent | Flag::Broken => None,
            Flag::Literal { span, .. } | Flag::Const { span, .. } => Some(*span),
        }
    }
}

impl Args {
    /// Whether a state is listed, or may have been meant to be: then an error was reported for it already.
    fn lists(&self, state: State) -> bool {
        self.on_broken || self.listed(state).next().is_some()
    }

    /// Where a state is listed, and with which method.
    fn listed(&self, state: State) -> impl Iterator<Item = (&crate::args::ListedState, Option<&Ident>)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.states.iter().map(|listed| (listed, entry.method.as_ref())))
            .filter(move |(listed, _)| listed.state == state)
    }
}

struct Rules<'a, 'e> {
    args: &'a Args,
    item: &'e Item,
    errors: &'e mut Errors,
    assertions: Vec<Assertion>,
}

impl<'a> Rules<'a, '_> {
    fn artifact_type(&mut self) -> Option<Value<'a>> {
        match &self.args.artifact_type {
            ArtifactType::Missing => {
                let name = &self.item.name;
                self.errors.at(
                    name.span(),
                    format!("`{name}` has no artifact type: add `artifact_type = \"...\"` to `#[update_module(...)]`"),
                );
                None
            }
            ArtifactType::Broken => None,
            ArtifactType::Literal(text) if text.value().is_empty() => {
                self.errors.at(
                    text.span(),
                    "`artifact_type` is empty: write the payload type of the artifacts that this module installs",
                );
                None
            }
            ArtifactType::Literal(text) => Some(Value::Text(text)),
            ArtifactType::Const(value) => {
                let artifact_type = local("artifact_type");
                self.assertions.push(Assertion {
                    span: syn::spanned::Spanned::span(value),
                    condition: quote!(!#artifact_type.is_empty()),
                    message: "`artifact_type` is empty: \
                              write the payload type of the artifacts that this module installs"
                        .to_string(),
                });
                Some(Value::Const(value))
            }
        }
    }

    fn states_once(&mut self) {
        for state in State::ALL {
            let mut all = self.args.listed(state).filter(|(listed, _)| !listed.guessed);
            let first = all.next();
            for (again, method) in all {
                let name = state.name();
                let message = match (first.and_then(|(_, method)| method), method) {
                    (Some(one), Some(two)) if one != two => {
                        format!("the state `{name}` is listed twice: keep `{name} = {one}` or `{name} = {two}`")
                    }
                    _ => format!("the state `{name}` is listed twice: remove one"),
                };
                self.errors.at(again.span, message);
            }
        }
    }

    fn download_present(&mut self) {
        if self.args.no_payload || self.args.lists(State::Download) {
            return;
        }
        let name = &self.item.name;
        self.errors.at(
            self.args.on.unwrap_or_else(|| name.span()),
            format!(
                "`{name}` has no method for `download`: add `on(download = method)`, \
                 or `no_payload` if its artifacts have no files"
            ),
        );
    }

    /// `download` takes the payload, so its method fits no other state.
    fn download_alone(&mut self) {
        let Some(download) = self.args.listed(State::Download).find_map(|(_, method)| method) else {
            return;
        };
        for entry in &self.args.entries {
            let other = entry.states.iter().find(|listed| listed.state != State::Download);
            if let (Some(other), Some(method)) = (other, &entry.method)
                && method == download
            {
                self.errors.at(
                    method.span(),
                    format!(
                        "`{method}` is the method for `download`, which takes the payload: \
                         write another one, without a payload, for `{}`",
                        other.state.name()
                    ),
                );
            }
        }
    }

    fn reboot(&mut self) {
        let args = self.args;
        let requires = (&args.requires_reboot, "requires_reboot");
        let missing = self.missing(&[State::Reboot, State::VerifyReboot]);
        if let (Some(span), false) = (args.requires_reboot.span(), missing.is_empty()) {
            self.forbid(
                &[(requires, true)],
                span,
                format!(
                    "`requires_reboot` without {}: add {}",
                    names(&missing),
                    to_add(&missing)
                ),
            );
        }
        for state in [State::Reboot, State::VerifyReboot] {
            let name = state.name();
            for (listed, _) in args.listed(state).filter(|(listed, _)| !listed.guessed) {
                self.forbid_if_known(
                    &[(requires, false)],
                    listed.span,
                    format!(
                        "`{name}` without `requires_reboot`: add `requires_reboot`, or remove `{name}`, \
                         which is never called without it"
                    ),
                );
            }
        }
    }

    fn rollback(&mut self) {
        let args = self.args;
        let requires = (&args.requires_reboot, "requires_reboot");
        let supports = (&args.supports_rollback, "supports_rollback");
        if let Some(span) = args.supports_rollback.span() {
            let missing = self.missing(&[State::Rollback]);
            if !missing.is_empty() {
                self.forbid(
                    &[(supports, true)],
                    span,
                    format!(
                        "`supports_rollback` without {}: add {}",
                        names(&missing),
                        to_add(&missing)
                    ),
                );
            }
            let missing = self.missing(&[State::RollbackReboot]);
            if !missing.is_empty() {
                self.forbid(
                    &[(supports, true), (requires, true)],
                    span,
                    format!(
                        "`supports_rollback` and `requires_reboot` without {}: add {}, which restarts into the old software",
                        names(&missing),
                        to_add(&missing)
                    ),
                );
            }
        }
        for state in [State::Rollback, State::RollbackReboot, State::RollbackVerifyReboot] {
            let name = state.name();
            for (listed, _) in args.listed(state).filter(|(listed, _)| !listed.guessed) {
                self.forbid_if_known(
                    &[(supports, false)],
                    listed.span,
                    format!(
                        "`{name}` without `supports_rollback`: add `supports_rollback`, or remove `{name}`, \
                         which is never called without it"
                    ),
                );
                if state != State::Rollback {
                    self.forbid_if_known(
                        &[(supports, true), (requires, false)],
                        listed.span,
                        format!(
                            "`{name}` without `requires_reboot`: add `requires_reboot`, or remove `{name}`: \
                             a module without reboots goes back in `rollback` alone"
                        ),
                    );
                }
            }
        }
    }

    fn missing(&self, states: &[State]) -> Vec<State> {
        states
            .iter()
            .copied()
            .filter(|state| !self.args.lists(*state))
            .collect()
    }

    /// An error if all flags are known to have the given values. Of a state that a const expression may rule out nothing
    /// is said: the table leaves it out where it is ruled out, so that one definition serves several kinds of module.
    fn forbid_if_known(&mut self, flags: &[((&Flag, &'static str), bool)], span: Span, message: String) {
        let known = flags
            .iter()
            .all(|((flag, _), _)| matches!(flag.value(), Some(Value::Bool(_)) | None));
        if known {
            self.forbid(flags, span, message);
        }
    }

    /// An error if all flags have the given values; an assertion if that is not known yet.
    fn forbid(&mut self, flags: &[((&Flag, &'static str), bool)], span: Span, message: String) {
        let mut unknown = Vec::new();
        for ((flag, name), forbidden) in flags {
            match flag.value() {
                None => return,
                Some(Value::Bool(value)) if value == *forbidden => {}
                Some(Value::Bool(_)) => return,
                Some(Value::Const(_) | Value::Text(_)) => {
                    let name = local(name);
                    unknown.push(if *forbidden { quote!(!#name) } else { quote!(#name) });
                }
            }
        }
        if unknown.is_empty() {
            self.errors.at(span, message);
        } else {
            self.assertions.push(Assertion {
                span,
                condition: quote!(#(#unknown)||*),
                message,
            });
        }
    }
}

/// The name of the variable that holds an argument's value where the assertions are made.
pub fn local(argument: &str) -> Ident {
    Ident::new(&format!("__{argument}"), Span::mixed_site())
}

fn names(states: &[State]) -> String {
    let names: Vec<String> = states.iter().map(|state| format!("`{}`", state.name())).collect();
    names.join(" and ")
}

fn to_add(states: &[State]) -> String {
    let entries: Vec<String> = states
        .iter()
        .map(|state| format!("{} = method", state.name()))
        .collect();
    format!("`on({})`", entries.join(", "))
}
