//! Calls of contracts: by function, by argument, and inside a multicall.

use quorate_intent::{Action, Intent, selector};
use quorate_policy::Policy;
use quorate_types::{Address, Bytes, U256};

use crate::rig::{
    BASE_SEPOLIA, LANDLORD, SHOP, STRANGER, address, allows, decide, failures, other, usdc, with,
};

const VAULT: &str = LANDLORD;
const DEPOSIT: &str = "deposit(uint256,address)";
const MULTICALL: &str = "multicall(bytes[])";

fn line(rest: &str) -> String {
    format!("    - {{ chain: base-sepolia, contract: \"{VAULT}\", label: vault, {rest} }}\n")
}

fn body(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|rest| line(rest)).collect();
    with(&format!("  calls:\n{lines}"))
}

/// At most 1000, to the shop.
fn deposits() -> String {
    body(&[&format!(
        "function: \"{DEPOSIT}\", arguments: [{{ at: 0, at_most: \"1000\" }}, {{ at: 1, one_of: [\"{SHOP}\"] }}]"
    )])
}

fn word(number: u64) -> Vec<u8> {
    U256::from(number).to_be_bytes_vec()
}

fn data(signature: &str, words: &[Vec<u8>]) -> Vec<u8> {
    [selector(signature).to_vec(), words.concat()].concat()
}

fn deposit(amount: u64, to: &str) -> Vec<u8> {
    data(DEPOSIT, &[word(amount), address(to).into_word().to_vec()])
}

/// As a compiler encodes it.
fn multicall(calls: &[Vec<u8>]) -> Vec<u8> {
    let mut offsets = Vec::new();
    let mut items = Vec::new();
    for call in calls {
        offsets.push(word((32 * calls.len() + items.len()) as u64));
        items.extend(word(call.len() as u64));
        items.extend(call);
        items.resize(items.len().next_multiple_of(32), 0);
    }
    let array = [vec![word(32), word(calls.len() as u64)], offsets, vec![items]].concat();
    data(MULTICALL, &array)
}

fn call_of(to: Address, data: Vec<u8>) -> Intent {
    let selector = data.first_chunk().copied();
    let action = Action::ContractCall { to, selector, data: Bytes::from(data) };
    Intent { max_native_fee: U256::from(10u64.pow(15)), ..other(BASE_SEPOLIA, action) }
}

fn call(data: Vec<u8>) -> Intent {
    call_of(address(VAULT), data)
}

fn reason(body: &str, intent: &Intent) -> String {
    let mut failures = failures(decide(body, intent));
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].rule, "calls");
    failures.remove(0).reason
}

#[test]
fn a_function_with_a_line_may_be_called_with_what_its_arguments_may_be() {
    assert!(allows(&deposits(), &call(deposit(1000, SHOP))));
    assert!(allows(&deposits(), &call(deposit(0, SHOP))));
    let bad = "an argument is not one that is allowed";
    assert_eq!(reason(&deposits(), &call(deposit(1001, SHOP))), bad);
    assert_eq!(reason(&deposits(), &call(deposit(1, STRANGER))), bad);
    // Lines of one function are alternatives.
    let either = deposits()
        + &line(&format!("function: \"{DEPOSIT}\", arguments: [{{ at: 1, one_of: [\"{STRANGER}\"] }}]"));
    assert!(allows(&either, &call(deposit(u64::MAX, STRANGER))));
    assert!(!allows(&either, &call(deposit(u64::MAX, SHOP))));
}

#[test]
fn anything_else_is_denied() {
    let none = "there is no line for this function of this contract";
    assert_eq!(reason(&deposits(), &call(data("withdraw(uint256)", &[word(1)]))), none);
    assert_eq!(reason(&deposits(), &call_of(address(STRANGER), deposit(1, SHOP))), none);
    assert_eq!(reason(&with(""), &call(deposit(1, SHOP))), none);
    assert_eq!(
        reason(&deposits(), &call(vec![1, 2, 3])),
        "calldata of less than four bytes calls no function"
    );
    let elsewhere = deposits().replace("- { chain: base-sepolia, contract", "- { chain: base, contract");
    assert_eq!(reason(&elsewhere, &call(deposit(1, SHOP))), none);
    let failure = failures(decide(&deposits(), &call(deposit(1001, SHOP)))).remove(0);
    assert_eq!(failure.limit, "1 function");
    let hex: String = selector(DEPOSIT).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(failure.requested, format!("function 0x{hex} of {VAULT} on base-sepolia"));
}

#[test]
fn calldata_is_read_exactly_or_not_at_all() {
    let inexact = "its arguments are not exactly those of the function";
    let good = deposit(1, SHOP);
    let mut dirty = good.clone();
    dirty[4 + 32] = 1;
    for bad in [[good.clone(), vec![0]].concat(), good[..good.len() - 1].to_vec(), dirty, good[..4].to_vec()]
    {
        assert_eq!(reason(&deposits(), &call(bad)), inexact);
    }
    assert!(allows(&body(&["function: \"claim()\""]), &call(data("claim()", &[]))));
    assert_eq!(reason(&body(&["function: \"claim()\""]), &call(data("claim()", &[word(0)]))), inexact);
}

/// The story: an agent is talked into a multicall that hides a withdrawal.
#[test]
fn a_nested_multicall_is_denied_unless_each_call_in_it_is_listed_as_such() {
    let hidden = multicall(&[deposit(1, SHOP), data("withdraw(uint256)", &[word(1)])]);
    let open = deposits() + &line(&format!("function: \"{MULTICALL}\""));
    let deposit_hex: String = selector(DEPOSIT).iter().map(|byte| format!("{byte:02x}")).collect();
    // Listed on its own is not listed inside.
    assert_eq!(
        reason(&open, &call(multicall(&[deposit(1, SHOP)]))),
        format!("function 0x{deposit_hex} has no line for a call inside a multicall")
    );
    let inside = open.clone()
        + &line(&format!(
            "function: \"{DEPOSIT}\", inside_multicall: true, arguments: [{{ at: 0, at_most: \"5\" }}]"
        ));
    assert!(allows(&inside, &call(multicall(&[deposit(5, STRANGER), deposit(0, SHOP)]))));
    assert_eq!(
        reason(&inside, &call(multicall(&[deposit(5, SHOP), deposit(6, SHOP)]))),
        "an argument is not one that is allowed"
    );
    assert!(reason(&inside, &call(hidden)).ends_with("has no line for a call inside a multicall"));
    // Nor is what is listed inside listed on its own; and multicalls do not nest.
    let only_inside = body(&["function: \"claim()\", inside_multicall: true"]);
    assert!(!allows(&only_inside, &call(data("claim()", &[]))));
    let nested = multicall(&[multicall(&[deposit(1, SHOP)])]);
    assert!(reason(&inside, &call(nested)).ends_with("has no line for a call inside a multicall"));
}

#[test]
fn a_multicall_is_read_exactly_and_takes_no_coin() {
    let body =
        body(&[&format!("function: \"{MULTICALL}\""), "function: \"claim()\", inside_multicall: true"]);
    let claim = || data("claim()", &[]);
    let good = multicall(&[claim(), claim()]);
    assert!(allows(&body, &call(good.clone())));
    let inexact = "its arguments are not exactly those of the function";
    // None inside, bytes behind, another beginning, items that share their bytes, padding that is not zero.
    let changed = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        bad
    };
    let head = 4 + 31;
    for bad in [
        multicall(&[]),
        [good.clone(), vec![0; 32]].concat(),
        changed(head, 64),
        changed(head + 32, 1),
        changed(head + 96, 64),
        changed(good.len() - 1, 1),
        changed(4, 1),
    ] {
        assert_eq!(reason(&body, &call(bad)), inexact);
    }
    assert!(reason(&body, &call(multicall(&vec![claim(); 65]))) == inexact);
    assert!(allows(&body, &call(multicall(&vec![claim(); 64]))));
    let paid = Intent { native_value: U256::ONE, ..call(good) };
    let refused = failures(decide(&body, &paid));
    assert!(refused.iter().any(|failure| failure.reason == "a multicall takes no coin"));
}

#[test]
fn coin_sent_along_needs_its_own_lines_and_a_blocked_address_may_stand_nowhere() {
    let body = body(&["function: \"stake()\"", &format!("function: \"{DEPOSIT}\"")]);
    let paid = Intent { native_value: U256::ONE, ..call(data("stake()", &[])) };
    let codes: Vec<String> = failures(decide(&body, &paid)).into_iter().map(|failure| failure.rule).collect();
    // The landlord is paid on Base only.
    assert_eq!(codes, ["recipients"]);
    assert!(allows(&body, &call(deposit(1, STRANGER))));
    let blocked = body.clone() + &format!("  blocked: [{{ address: \"{STRANGER}\", label: x }}]\n");
    let refused = failures(decide(&blocked, &call(deposit(1, STRANGER))));
    assert_eq!((refused.len(), refused[0].rule.as_str()), (1, "blocked"));
    assert!(allows(&blocked, &call(deposit(1, SHOP))));
}

fn refusal(rest: &str) -> String {
    Policy::parse(body(&[rest]).as_bytes()).unwrap_err().to_string()
}

#[test]
fn functions_are_refused_by_shape() {
    let shape = "expected a signature such as deposit(uint256,address), without spaces and names";
    for bad in ["deposit", "deposit(uint256", "(uint256)", "1d()", "d e()"] {
        assert_eq!(
            refusal(&format!("function: \"{bad}\"")),
            format!("rules.calls[0].function: {shape}"),
            "{bad}"
        );
    }
    for bad in [
        "f(bytes)",
        "f(string)",
        "f(uint256[])",
        "f(uint)",
        "f(uint256, address)",
        "f(bytes[])",
        "multicall(bytes[],bool)",
    ] {
        let refused = refusal(&format!("function: \"{bad}\""));
        assert!(
            refused.starts_with("rules.calls[0].function: only arguments of one word"),
            "{bad}: {refused}"
        );
    }
    assert!(Policy::parse(body(&["function: \"multicall(uint256,bytes[])\""]).as_bytes()).is_ok());
}

#[test]
fn lines_are_refused_by_field() {
    for (rest, expected) in [
        (
            "function: \"multicall(bytes[])\", inside_multicall: true",
            ".inside_multicall: a multicall inside a multicall is never signed",
        ),
        (
            "function: \"f(bool)\", arguments: [{ at: 1, one_of: [\"true\"] }]",
            ".arguments[0].at: the function has no such argument; the first is 0",
        ),
        (
            "function: \"f(bool)\", arguments: [{ at: 0, one_of: [\"yes\"] }]",
            ".arguments[0].one_of[0]: expected true or false",
        ),
        (
            "function: \"f(bool)\", arguments: [{ at: 0, at_most: \"1\" }]",
            ".arguments[0].at_most: expected a decimal integer, for an unsigned integer",
        ),
        ("function: \"f(bool)\", arguments: [{ at: 0 }]", ".arguments[0]: expected one of: one_of, at_most"),
        (
            "function: \"f(uint8)\", arguments: [{ at: 0, one_of: [\"256\"] }]",
            ".arguments[0].one_of[0]: expected a decimal integer that fits its type",
        ),
        (
            "function: \"f(int8)\", arguments: [{ at: 0, one_of: [\"1\"] }]",
            ".arguments[0].one_of[0]: signed integers cannot be named",
        ),
        (
            "function: \"f(bytes4)\", arguments: [{ at: 0, one_of: [\"0x0102\"] }]",
            ".arguments[0].one_of[0]: expected 0x and as many hex digits as its type has",
        ),
    ] {
        assert_eq!(refusal(rest), format!("rules.calls[0]{expected}"), "{rest}");
    }
    let token = body(&["function: \"f()\""]).replace(VAULT, &usdc(BASE_SEPOLIA).to_string());
    assert!(
        Policy::parse(token.as_bytes())
            .unwrap_err()
            .to_string()
            .starts_with("rules.calls[0].contract: is a token's")
    );
    let twice = body(&["function: \"f()\"", "function: \"f()\""]);
    assert_eq!(
        Policy::parse(twice.as_bytes()).unwrap_err().to_string(),
        "rules.calls[1]: the same line stands there already"
    );
}
