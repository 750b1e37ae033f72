//! The attribute's arguments: their syntax only. What must stand together is checked in `check.rs`.
//!
//! Reading goes on after an error at the next comma, so that all errors of a definition are found. What was broken or
//! misspelt is kept as such ([`Flag::Broken`], [`Entry::method`]), so that no rule complains of it a second time.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Expr, Ident, Lit, LitStr, Path, Token};

use crate::errors::Errors;
use crate::names::{Argument, State, list};

/// `artifact_type = ...`
#[derive(Debug, Default)]
pub enum ArtifactType {
    #[default]
    Missing,
    /// Given, but an error was reported for it.
    Broken,
    Literal(LitStr),
    Const(Box<Expr>),
}

/// `requires_reboot` or `supports_rollback`, alone or with a value.
#[derive(Debug, Default)]
pub enum Flag {
    #[default]
    Absent,
    /// Given, but an error was reported for it.
    Broken,
    Literal {
        span: Span,
        value: bool,
    },
    Const {
        span: Span,
        value: Box<Expr>,
    },
}

/// One line of the table: `reboot | rollback_reboot = restart`.
#[derive(Debug)]
pub struct Entry {
    pub states: Vec<ListedState>,
    /// `None` if an error was reported for it.
    pub method: Option<Ident>,
}

/// A state in `on(...)`.
#[derive(Debug)]
pub struct ListedState {
    pub state: State,
    pub span: Span,
    /// Not written so, but probably meant: counts as listed, but nothing is said of it again.
    pub guessed: bool,
}

/// All arguments.
#[derive(Debug, Default)]
pub struct Args {
    pub artifact_type: ArtifactType,
    pub requires_reboot: Flag,
    pub supports_rollback: Flag,
    pub no_payload: bool,
    /// The path given with `crate = ...`.
    pub crate_path: Option<Path>,
    /// Where `on` stands.
    pub on: Option<Span>,
    /// `on` is there, but an error was reported for it: any state may be listed.
    pub on_broken: bool,
    pub entries: Vec<Entry>,
    seen: Vec<Argument>,
}

impl Args {
    pub fn parse(tokens: TokenStream, errors: &mut Errors) -> Args {
        let mut args = Args::default();
        let parser = |input: ParseStream| {
            separated(input, errors, |input, errors| args.argument(input, errors));
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            errors.push(error);
        }
        args
    }

    fn argument(&mut self, input: ParseStream, errors: &mut Errors) -> syn::Result<()> {
        if let Some(literal) = input.fork().parse::<LitStr>().ok().filter(|_| self.seen.is_empty()) {
            // Most probably the artifact type: not also "missing".
            self.artifact_type = ArtifactType::Broken;
            self.seen.push(Argument::ArtifactType);
            let token = literal.token();
            return Err(syn::Error::new(
                literal.span(),
                format!("expected an argument, found `{token}`: write `artifact_type = {token}`"),
            ));
        }
        let known = || list(Argument::ALL, Argument::name);
        let name = name(input, || format!("expected one of the arguments {}", known()))?;
        let text = name.to_string();
        let argument = match Argument::from_name(&text) {
            Some(argument) if self.seen.contains(&argument) => {
                errors.at(
                    name.span(),
                    match argument {
                        Argument::On => "`on` is given twice: list all states in one `on(...)`".to_string(),
                        _ => format!("`{text}` is given twice: keep one of them"),
                    },
                );
                skip(input);
                return Ok(());
            }
            Some(argument) => argument,
            None => {
                let guess = match (State::from_name(&text), Argument::nearest(&text)) {
                    (Some(state), _) => {
                        self.entries.push(Entry {
                            states: vec![ListedState {
                                state,
                                span: name.span(),
                                guessed: true,
                            }],
                            method: None,
                        });
                        errors.at(
                            name.span(),
                            format!("`{text}` is a state, not an argument: write `on({text} = method)`"),
                        );
                        None
                    }
                    (None, Some(guess)) => {
                        errors.at(
                            name.span(),
                            format!("unknown argument `{text}`: did you mean `{}`?", guess.syntax()),
                        );
                        Some(guess)
                    }
                    (None, None) => {
                        errors.at(
                            name.span(),
                            format!("unknown argument `{text}`: the arguments are {}", known()),
                        );
                        None
                    }
                };
                match guess.filter(|guess| !self.seen.contains(guess)) {
                    Some(guess) => guess,
                    None => {
                        skip(input);
                        return Ok(());
                    }
                }
            }
        };
        self.seen.push(argument);
        match argument {
            Argument::ArtifactType => {
                self.artifact_type = ArtifactType::Broken;
                self.artifact_type = artifact_type(input, &name)?;
            }
            Argument::RequiresReboot => {
                self.requires_reboot = Flag::Broken;
                self.requires_reboot = flag(input, &name, argument)?;
            }
            Argument::SupportsRollback => {
                self.supports_rollback = Flag::Broken;
                self.supports_rollback = flag(input, &name, argument)?;
            }
            Argument::NoPayload => {
                self.no_payload = true;
                if !ends(input) && !input.peek(Ident::peek_any) {
                    return Err(unexpected(input, &name, "`no_payload` alone: it takes no value"));
                }
            }
            Argument::Crate => {
                expect_equals(input, &name, "`crate = path::to::mender`")?;
                if input.peek(Lit) {
                    return Err(unexpected(
                        input,
                        &name,
                        "a path without quotes, `crate = path::to::mender`",
                    ));
                }
                self.crate_path = Some(input.call(Path::parse_mod_style)?);
            }
            Argument::On => {
                self.on = Some(name.span());
                if !input.peek(syn::token::Paren) {
                    self.on_broken = true;
                    return Err(unexpected(input, &name, "`on(state = method, ...)`"));
                }
                let entries;
                syn::parenthesized!(entries in input);
                separated(&entries, errors, |input, errors| self.entry(input, errors));
            }
        }
        Ok(())
    }

    fn entry(&mut self, input: ParseStream, errors: &mut Errors) -> syn::Result<()> {
        let mut states = Vec::new();
        let method = states_and_method(input, errors, &mut states);
        let (method, result) = match method {
            Ok(method) => (Some(method), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.entries.push(Entry { states, method });
        result
    }
}

fn states_and_method(input: ParseStream, errors: &mut Errors, states: &mut Vec<ListedState>) -> syn::Result<Ident> {
    let last = loop {
        let known = || list(State::ALL, State::name);
        let name = name(input, || format!("expected one of the states {}", known()))?;
        let text = name.to_string();
        let (state, guessed) = match State::from_name(&text) {
            Some(state) => (Some(state), false),
            None => {
                let guess = State::nearest(&text);
                if let Some(argument) = Argument::from_name(&text) {
                    return Err(syn::Error::new(
                        name.span(),
                        format!(
                            "`{text}` is an argument, not a state: write `{}` outside of `on(...)`",
                            argument.syntax()
                        ),
                    ));
                }
                let message = match guess {
                    Some(guess) => format!("unknown state `{text}`: did you mean `{}`?", guess.name()),
                    None => format!("unknown state `{text}`: the states are {}", known()),
                };
                errors.at(name.span(), message);
                (guess, true)
            }
        };
        if let Some(state) = state {
            let span = name.span();
            states.push(ListedState { state, span, guessed });
        }
        if !input.peek(Token![|]) {
            break name;
        }
        input.parse::<Token![|]>()?;
    };
    expect_equals(input, &last, &format!("`{last} = method`"))?;
    if !input.peek(Ident) {
        return Err(unexpected(
            input,
            &last,
            &format!("the name of a method, `{last} = method`"),
        ));
    }
    let method: Ident = input.parse()?;
    if input.peek(Token![::]) && input.peek3(Token![<]) || input.peek(Token![<]) {
        // What rustc suggests for such a method.
        return Err(syn::Error::new(
            method.span(),
            format!(
                "a method for a state cannot have type parameters of its own: `{method}` can use those of the struct"
            ),
        ));
    }
    if input.peek(Token![::]) || input.peek(Token![.]) || input.peek(syn::token::Paren) {
        let next = input.parse::<TokenTree>()?;
        return Err(syn::Error::new(
            next.span(),
            format!("expected only the name of a method of the struct, `{last} = method`, found a path or a call"),
        ));
    }
    Ok(method)
}

fn artifact_type(input: ParseStream, name: &Ident) -> syn::Result<ArtifactType> {
    let expected = "`artifact_type = \"...\"`";
    expect_equals(input, name, expected)?;
    let value = expression(input, name, expected)?;
    match literal(&value) {
        Some(Lit::Str(text)) => Ok(ArtifactType::Literal(text.clone())),
        Some(other) => Err(syn::Error::new(
            other.span(),
            format!("expected {expected}, found `{}`", other.to_token_stream()),
        )),
        None => Ok(ArtifactType::Const(Box::new(value))),
    }
}

fn flag(input: ParseStream, name: &Ident, argument: Argument) -> syn::Result<Flag> {
    let span = name.span();
    if ends(input) || input.peek(Ident::peek_any) {
        return Ok(Flag::Literal { span, value: true });
    }
    let argument = argument.name();
    let expected = format!("`{argument}` or `{argument} = <const expression>`");
    expect_equals(input, name, &expected)?;
    let value = expression(input, name, &expected)?;
    match literal(&value) {
        Some(Lit::Bool(value)) => Ok(Flag::Literal {
            span,
            value: value.value,
        }),
        Some(other) => Err(syn::Error::new(
            other.span(),
            format!("expected {expected}, found `{}`", other.to_token_stream()),
        )),
        None => Ok(Flag::Const {
            span,
            value: Box::new(value),
        }),
    }
}

/// The literal, also one that came through a `macro_rules` variable (which is a group without delimiters).
fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn expression(input: ParseStream, name: &Ident, expected: &str) -> syn::Result<Expr> {
    if ends(input) {
        return Err(unexpected(input, name, expected));
    }
    input
        .parse()
        .map_err(|error: syn::Error| syn::Error::new(error.span(), format!("expected {expected}: {error}")))
}

fn name(input: ParseStream, expected: impl Fn() -> String) -> syn::Result<Ident> {
    input.call(Ident::parse_any).map_err(|_| match next(input) {
        Some(token) => syn::Error::new(token.span(), format!("{}, found `{}`", expected(), shown(&token))),
        None => syn::Error::new(input.span(), expected()),
    })
}

fn expect_equals(input: ParseStream, name: &Ident, expected: &str) -> syn::Result<()> {
    if input.peek(Token![=>]) {
        let arrow: Token![=>] = input.parse()?;
        return Err(syn::Error::new(
            arrow.span(),
            format!("expected {expected}, found `=>`"),
        ));
    }
    if !input.peek(Token![=]) {
        return Err(unexpected(input, name, expected));
    }
    input.parse::<Token![=]>().map(|_| ())
}

/// "expected ..., found ...": at the next token, or at `name` if nothing follows it.
fn unexpected(input: ParseStream, name: &Ident, expected: &str) -> syn::Error {
    match next(input).filter(|_| !ends(input)) {
        Some(token) => syn::Error::new(token.span(), format!("expected {expected}, found `{}`", shown(&token))),
        None => syn::Error::new(name.span(), format!("expected {expected}, found `{name}` alone")),
    }
}

fn next(input: ParseStream) -> Option<TokenTree> {
    input.fork().parse().ok()
}

fn shown(token: &TokenTree) -> String {
    match token {
        TokenTree::Group(group) => group.to_string().chars().take(1).collect(),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => token.to_string(),
    }
}

fn ends(input: ParseStream) -> bool {
    input.is_empty() || input.peek(Token![,])
}

fn skip(input: ParseStream) {
    while !ends(input) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// Reads what stands between commas, to the end, whatever it is.
fn separated(
    input: ParseStream,
    errors: &mut Errors,
    mut one: impl FnMut(ParseStream, &mut Errors) -> syn::Result<()>,
) {
    while !input.is_empty() {
        if let Err(error) = one(input, errors) {
            errors.push(error);
            skip(input);
        }
        if let Some(token) = next(input).filter(|_| !ends(input)) {
            errors.at(token.span(), format!("expected `,`, found `{}`", shown(&token)));
            if matches!(token, TokenTree::Ident(_)) {
                // Only the comma is missing: read on from here.
                continue;
            }
            skip(input);
        }
        if !input.is_empty() && input.parse::<Token![,]>().is_err() {
            return;
        }
    }
}
