//! The attribute without a compiler: which errors a definition has, and what it becomes.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{Args, ArtifactType, Flag};
use crate::check::check;
use crate::errors::Errors;
use crate::expand::expand;
use crate::names::{Argument, State};
use crate::parse::Item;

fn messages(args: TokenStream) -> Vec<String> {
    messages_on(
        args,
        quote!(
            struct Module;
        ),
    )
}

fn messages_on(args: TokenStream, item: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let args = Args::parse(args, &mut errors);
    if let Some(item) = Item::parse(item, &mut errors) {
        let accepted = check(&args, &item, &mut errors).is_some();
        assert_eq!(accepted, errors.is_empty(), "a table exactly when there is no error");
    }
    errors.messages()
}

/// The arguments of a module that keeps all rules, given its flags and its states: the rules as the documentation
/// states them, written down a second time.
fn keeps_the_rules(requires_reboot: bool, supports_rollback: bool, no_payload: bool, states: &[State]) -> bool {
    let has = |state| states.contains(&state);
    let reboot = [State::Reboot, State::VerifyReboot];
    let rollback = [State::Rollback, State::RollbackReboot, State::RollbackVerifyReboot];
    let rollback_by_reboot = [State::RollbackReboot, State::RollbackVerifyReboot];
    (no_payload || has(State::Download))
        && reboot.iter().all(|state| !requires_reboot || has(*state))
        && reboot.iter().all(|state| requires_reboot || !has(*state))
        && rollback.iter().all(|state| supports_rollback || !has(*state))
        && rollback_by_reboot.iter().all(|state| requires_reboot || !has(*state))
        && (!supports_rollback || has(State::Rollback))
        && (!supports_rollback || !requires_reboot || has(State::RollbackReboot))
}

/// All 8 combinations of flags with all 1024 sets of states.
#[test]
fn every_combination_of_flags_and_states_is_judged_by_the_rules() {
    let mut accepted = 0;
    for flags in 0..8_u32 {
        let [requires_reboot, supports_rollback, no_payload] = [1, 2, 4].map(|bit| flags & bit != 0);
        for set in 0..1 << State::ALL.len() {
            let states: Vec<State> = (0..)
                .zip(State::ALL)
                .filter(|(bit, _)| set >> bit & 1 == 1)
                .map(|(_, state)| state)
                .collect();
            let entries: Vec<String> = states
                .iter()
                .map(|state| format!("{0} = on_{0}", state.name()))
                .collect();
            let mut args = format!("artifact_type = \"a\", on({})", entries.join(", "));
            for (given, name) in [
                (requires_reboot, "requires_reboot"),
                (supports_rollback, "supports_rollback"),
                (no_payload, "no_payload"),
            ] {
                if given {
                    args = format!("{args}, {name}");
                }
            }
            let found = messages(args.parse().expect("tokens"));
            let expected = keeps_the_rules(requires_reboot, supports_rollback, no_payload, &states);
            assert_eq!(found.is_empty(), expected, "{args}: {found:#?}");
            accepted += usize::from(expected);
        }
    }
    // Neither side rejects everything. `install`, `commit`, `cleanup`, `failure` are free: a factor of 16.
    assert_eq!(accepted, 16 * (3 * (1 + 1) + 3 * (1 + 2)));
}

#[test]
fn all_errors_are_found_and_none_twice() {
    let found = messages(quote!(
        artifact_typ = "",
        requires_reboot,
        no_payload = 1,
        on(install = apply, instal = apply_again, rollback = "back")
    ));
    let beginnings = [
        "unknown argument `artifact_typ`: did you mean",
        "expected `no_payload` alone",
        "unknown state `instal`: did you mean `install`?",
        "expected the name of a method, `rollback = method`",
        "`artifact_type` is empty",
        "`requires_reboot` without `reboot` and `verify_reboot`",
        "`rollback` without `supports_rollback`",
    ];
    assert_eq!(found.len(), beginnings.len(), "{found:#?}");
    for (message, beginning) in found.iter().zip(beginnings) {
        assert!(message.starts_with(beginning), "{message}");
    }
}

#[test]
fn a_broken_argument_is_not_also_missing() {
    for args in [
        quote!(artifact_type, on(download = a)),
        quote!(artifact_type = 5, on(download = a)),
        quote!("x", on(download = a)),
        quote!(artefact_type = "x", on(download = a)),
        quote!(artifact_type = "x", on),
        quote!(artifact_type = "x", on = a),
        quote!(artifact_type = "x", on(download)),
        quote!(artifact_type = "x", on(download = "a")),
        quote!(artifact_type = "x", on(donwload = a)),
        quote!(artifact_type = "x", download = a),
        quote!(
            artifact_type = "x",
            supports_rollback = 1,
            on(download = a, rollback = b)
        ),
        quote!(artifact_type = "x", requires_reboot = "y", on(download = a)),
        quote!(artifact_type = "x" on(download = a)),
    ] {
        let text = args.to_string();
        let found = messages(args);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
    }
}

#[test]
fn reading_goes_on_after_an_error() {
    let mut errors = Errors::default();
    let args = Args::parse(
        quote!(1 + 2, artifact_type = "a", color(red, green), requires_reboot, , on(5, download = write = x, install = apply)),
        &mut errors,
    );
    assert!(matches!(&args.artifact_type, ArtifactType::Literal(text) if text.value() == "a"));
    assert!(matches!(args.requires_reboot, Flag::Literal { value: true, .. }));
    assert_eq!(args.entries.len(), 3);
    assert!(args.entries[2].method.as_ref().is_some_and(|method| method == "apply"));
    let found = errors.messages();
    assert_eq!(found.len(), 5, "{found:#?}");
}

/// Whatever the tokens, there is an answer: no panic, no endless loop.
#[test]
fn any_tokens_get_an_answer() {
    let words = [
        "artifact_type",
        "on",
        "download",
        "crate",
        "requires_reboot",
        "x",
        "=",
        "=>",
        "|",
        "::",
        ",",
        "\"a\"",
        "5",
        "(",
        ")",
        "(download = a)",
        "{ }",
    ];
    for a in words {
        for b in words {
            for c in words {
                let Ok(args) = format!("{a} {b} {c}").parse::<TokenStream>() else {
                    continue;
                };
                for item in [
                    quote!(
                        struct Module;
                    ),
                    quote!(
                        enum Module {}
                    ),
                    quote!(
                        fn f() {}
                    ),
                    quote!(),
                ] {
                    let output = expand(args.clone(), item).to_string();
                    assert!(output.contains("compile_error"), "{a} {b} {c}");
                }
            }
        }
    }
}

#[test]
fn the_nearest_name_is_suggested() {
    for (name, nearest) in [
        ("instal", Some(State::Install)),
        ("Install", Some(State::Install)),
        ("comit", Some(State::Commit)),
        ("clean_up", Some(State::Cleanup)),
        ("roll_back", Some(State::Rollback)),
        ("ArtifactInstall", Some(State::Install)),
        ("ArtifactVerifyRollbackReboot", Some(State::RollbackVerifyReboot)),
        ("reboot_rollback", Some(State::RollbackReboot)),
        ("verify_rebot", Some(State::VerifyReboot)),
        ("failures", Some(State::Failure)),
        ("downlaod", Some(State::Download)),
        ("x", None),
        ("", None),
        ("frobnicate", None),
        ("uninstallation", None),
    ] {
        assert_eq!(State::nearest(name), nearest, "{name}");
    }
    for (name, nearest) in [
        ("artefact_type", Some(Argument::ArtifactType)),
        ("require_reboot", Some(Argument::RequiresReboot)),
        ("requiresReboot", Some(Argument::RequiresReboot)),
        ("support_rollback", Some(Argument::SupportsRollback)),
        ("payload_no", Some(Argument::NoPayload)),
        ("krate", Some(Argument::Crate)),
        ("color", None),
    ] {
        assert_eq!(Argument::nearest(name), nearest, "{name}");
    }
}

#[test]
fn only_structs_are_accepted() {
    let args = || quote!(artifact_type = "a", no_payload);
    for item in [
        quote!(
            struct A;
        ),
        quote!(
            pub(in crate::x) struct A<'a, T: ?Sized + 'a, const N: usize = { 1 + 1 }>(&'a T, [u8; N])
            where
                T: Fn(u8) -> u8;
        ),
        quote!(
            struct A<T>
            where
                T: Clone,
            {
                field: T,
            }
        ),
        quote!(
            #[doc = "x"]
            #[repr(C)]
            pub struct r#A {
                union: u8,
            }
        ),
        quote!(
            struct A { syntax: u8 = of(tomorrow) }
        ),
    ] {
        let text = item.to_string();
        assert_eq!(messages_on(args(), item), [""; 0], "{text}");
    }
    for (item, found) in [
        (
            quote!(
                enum A {
                    B,
                }
            ),
            "the enum `A`",
        ),
        (
            quote!(
                pub union A {
                    b: u8,
                }
            ),
            "the union `A`",
        ),
        (quote!(impl A {}), "an impl block"),
        (
            quote!(
                unsafe impl<T: Fn()> Send for A<T> {}
            ),
            "an impl block",
        ),
        (
            quote!(
                fn f() {}
            ),
            "a function",
        ),
        (
            quote!(
                pub const unsafe extern "C" fn f(_: impl Sized) {}
            ),
            "a function",
        ),
        (
            quote!(
                pub async fn union() {}
            ),
            "a function",
        ),
        (
            quote!(
                trait A {}
            ),
            "move it to the definition",
        ),
        (
            quote!(
                type A = B;
            ),
            "move it to the definition",
        ),
        (quote!(), "move it to the definition"),
    ] {
        let text = item.to_string();
        let found_messages = messages_on(args(), item);
        assert_eq!(found_messages.len(), 1, "{text}: {found_messages:#?}");
        assert!(found_messages[0].contains(found), "{text}: {found_messages:#?}");
    }
}

fn pretty(args: TokenStream, item: TokenStream) -> String {
    let expanded = expand(args, item);
    match syn::parse2(expanded.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("{error}: {expanded}"),
    }
}

macro_rules! snapshots {
    ($($name:ident: ($($args:tt)*) $item:item)+) => {$(
        #[test]
        fn $name() {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("../tests/expansions");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            settings.set_description(stringify!(#[update_module($($args)*)] $item));
            settings.bind(|| {
                insta::assert_snapshot!(stringify!($name), pretty(quote!($($args)*), quote!($item)));
            });
        }
    )+};
}

// Written anew with `INSTA_UPDATE=always cargo nextest run -p mender-macros`; read the difference before committing it.
snapshots! {
    one_state: (artifact_type = "file", on(download = write))
    struct File;

    several_states_for_one_method: (
        artifact_type = "zephyr-image",
        requires_reboot,
        supports_rollback,
        on(
            download = write_slot,
            reboot | rollback_reboot = restart,
            install = request_swap,
            rollback_verify_reboot = check,
            rollback = request_swap,
            verify_reboot = check,
        )
    )
    pub struct ZephyrImage<F: NorFlash, R: Restart>
    where
        R: Clone,
    {
        flash: F,
        restart: R,
    }

    all_states: (
        artifact_type = "a",
        requires_reboot,
        supports_rollback,
        on(
            failure = j, rollback_verify_reboot = i, rollback_reboot = h, rollback = g, cleanup = f,
            commit = e, verify_reboot = d, reboot = c, install = b, download = a,
        )
    )
    struct Module;

    no_payload: (artifact_type = "reset-settings", no_payload, on(install = reset))
    struct Settings(u8);

    no_payload_with_download: (artifact_type = "a", no_payload, on(download = read_meta_data))
    struct Module;

    no_state: (artifact_type = "noop", no_payload)
    struct Noop;

    const_flags: (
        artifact_type = M::TYPE,
        requires_reboot = M::REBOOTS,
        supports_rollback = M::REVERTS,
        on(download = write, reboot = restart, rollback_reboot = restart)
    )
    struct Module<M: Mode>(PhantomData<M>);

    const_flag_without_generics: (artifact_type = "a", supports_rollback = REVERTS, on(download = write, rollback = back))
    struct Module;

    renamed_crate: (artifact_type = "a", crate = crate::vendored::ota, on(download = write, commit = confirm))
    struct Module;

    generics_of_all_kinds: (artifact_type = "a", on(download = write))
    struct Module<'a, T: 'a + ?Sized = str, const N: usize = 4>(&'a T, [u8; N])
    where
        T: Clone,
        [u8; N]: Default;

    attributes: (artifact_type = "a", on(download = write))
    /// Documented.
    #[cfg(feature = "a")]
    #[deprecated = "use b"]
    #[derive(Debug)]
    pub(crate) struct r#Module;

    rejected: (artifact_type = "a", supports_rollback, on(download = write))
    struct Module<T>(T);

    rejected_enum: (artifact_type = "a", on(download = write))
    enum Module<T> {
        A(T),
    }

    rejected_function: (artifact_type = "a", on(download = write))
    fn write() {}
}

/// The documentation shows what really happens.
#[test]
fn the_documented_expansion_is_the_real_one() {
    let definition: syn::ItemStruct = syn::parse_str(include_str!("../docs/definition.rs")).expect("a struct");
    let mut item = definition;
    let attribute = item.attrs.remove(0);
    let args = attribute.meta.require_list().expect("arguments").tokens.clone();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/expansion.rs");
    let expansion = pretty(args, quote!(#item));
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        std::fs::write(path, &expansion).expect("writable");
    }
    assert_eq!(std::fs::read_to_string(path).expect("docs/expansion.rs"), expansion);
}
