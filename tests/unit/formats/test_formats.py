"""What every number module promises, over many made-up numbers."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koppel.formats import InvalidNumber, branch, iban, kvk, phone, postcode, rsin, vat

MODULES = ("kvk", "branch", "rsin", "vat", "postcode", "phone", "iban")
DIGITS = "0123456789"
calm = settings(deadline=None)  # a busy machine, or tables loaded at first use, is no defect


@pytest.mark.parametrize("name", MODULES)
@calm
@given(text=st.text(max_size=30) | st.text(alphabet=DIGITS + " .-NLB+", max_size=22))
def test_any_text_is_either_valid_and_stays_itself_or_refused_with_one_sentence(name, text):
    module = importlib.import_module(f"koppel.formats.{name}")
    if module.is_valid(text):
        number = module.validate(text)
        assert module.validate(number) == number
        assert module.compact(number) == number
        return
    with pytest.raises(InvalidNumber) as caught:
        module.validate(text)
    assert caught.value.value == text
    assert caught.value.reason in str(caught.value)
    assert caught.value.remedy in str(caught.value)


@calm
@given(
    st.text(alphabet=DIGITS, min_size=8, max_size=8).filter(lambda t: t.strip("0")),
    st.sampled_from(["", " ", ".", "-", "\u00a0"]),
)
def test_a_kvk_number_keeps_its_zeros_whatever_stands_between_the_digits(number, separator):
    typed = separator.join((number[:2], number[2:5], number[5:]))
    assert kvk.validate(f"KvK nummer: {typed}") == number
    assert kvk.read(typed) == (number, None, None)


@calm
@given(st.text(alphabet=DIGITS, min_size=7, max_size=7).filter(lambda t: t.strip("0")))
def test_seven_digits_are_refused_strictly_and_padded_aloud_when_read(number):
    assert not kvk.is_valid(number)
    read, branch_number, note = kvk.read(number)
    assert read == "0" + number
    assert branch_number is None
    assert read in note


@calm
@given(
    st.integers(min_value=10000, max_value=99_999_999).map(lambda n: f"{n:08}"),
    st.integers(min_value=1, max_value=99_999_999).map(lambda n: f"{n:012}"),
)
def test_twenty_digits_are_a_firm_and_its_branch(number, branch_number):
    assert kvk.read(number + branch_number) == (number, branch.validate(branch_number), None)


@calm
@given(
    st.integers(min_value=10000, max_value=99_999_999).map(lambda n: f"{n:08}"),
    st.text(alphabet=DIGITS, min_size=4, max_size=4),
)
def test_twelve_digits_give_the_firm_and_never_a_branch_that_others_share(number, sequence):
    read, branch_number, note = kvk.read(number + sequence)
    assert (read, branch_number) == (number, None)
    assert sequence in note


@pytest.mark.parametrize(
    "text", ["", "123456", "123456789", "1234567890", "00000000", "000037850001", "0000000", "1234567800000000000a"]
)
def test_what_is_no_kvk_number_is_not_guessed_at(text):
    with pytest.raises(InvalidNumber, match="KVK number"):
        kvk.read(text)


@calm
@given(
    st.integers(min_value=1, max_value=99_999_999),
    st.integers(min_value=0, max_value=8),
    st.integers(min_value=1, max_value=9),
)
def test_one_wrong_digit_never_passes_the_11_proof(start, place, shift):
    body = f"{start:08}"
    check = sum(int(digit) * weight for digit, weight in zip(body, range(9, 1, -1), strict=True)) % 11
    if check > 9:
        return
    number = f"{body}{check}"
    assert rsin.validate(number) == number
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert not rsin.is_valid(wrong)
    assert vat.validate(vat.from_rsin(number)) == f"NL{number}B01"


@calm
@given(st.integers(min_value=1, max_value=999_999_999), st.integers(min_value=1, max_value=9))
def test_a_sole_traders_number_passes_on_mod_97(body, shift):
    letters = {"N": "23", "L": "21", "B": "11"}
    for suffix in range(2, 99):
        number = f"NL{body:09}B{suffix:02}"
        if int("".join(letters.get(char, char) for char in number)) % 97 == 1:
            assert vat.validate(number) == number
            break
    else:
        pytest.skip("this body has no two digits that fit")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("XX123", "EU country"),
        ("", "empty"),
        ("NL12B01", "9 digits"),
        ("NL800000007B01", "check digits"),
        ("BE12", "wrong length for BE"),
        ("US123456789", "EU country"),
    ],
)
def test_a_vat_number_is_refused_with_the_reason(text, why):
    with pytest.raises(InvalidNumber, match=why):
        vat.validate(text)


@pytest.mark.parametrize(
    "text", ["BE 0697.449.992", "DE 136,695 976".replace(",", "."), "EL 094259216", "FR 61 954 506 077"]
)
def test_vat_numbers_of_other_states_are_known(text):
    assert vat.validate(text) == vat.compact(text)


@calm
@given(
    st.integers(min_value=1000, max_value=9999), st.text(alphabet="ABCDEFGHIJKLMNOPRTUVWXYZ", min_size=2, max_size=2)
)
def test_a_postcode_is_read_however_it_is_spaced(digits, letters):
    assert postcode.validate(f" {digits} {letters.lower()}") == f"{digits}{letters}"
    assert postcode.compact(postcode.pretty(f"{digits}{letters}")) == f"{digits}{letters}"


@calm
@given(st.integers(min_value=0, max_value=99_999_999))
def test_a_dutch_mobile_number_has_one_form(number):
    national = f"06{number:08}"
    if phone.is_valid(national):
        assert (
            phone.validate(national)
            == phone.validate(f"+316{number:08}")
            == phone.validate(f"0031 6 {number:08}")
            == f"+316{number:08}"
        )


def test_an_extension_is_not_lost_silently():
    with pytest.raises(InvalidNumber, match="extension"):
        phone.validate("020 123 4567 ext. 12")


def test_a_region_can_be_named():
    assert phone.validate("02 555 12 12", region="BE") == "+3225551212"


@calm
@given(st.sampled_from("NL91ABNA0417164300"[4:]), st.integers(min_value=4, max_value=17))
def test_an_iban_with_a_changed_character_is_refused(character, place):
    good = "NL91ABNA0417164300"
    changed = good[:place] + character + good[place + 1 :]
    assert iban.is_valid(changed) == (changed == good)
