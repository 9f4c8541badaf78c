use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn entry() -> impl Strategy<Value = ([u8; 16], u8)> {
    // Few first bytes, so that pages hold several and ids come close to each other.
    (any::<[u8; 16]>(), 0..4_u8, 1..64_u8).prop_map(|(mut id, first, flags)| {
        (id[0], id[1]) = (0, first);
        id[2..15].fill(0);
        (id, flags)
    })
}

fn pages(entries: &BTreeMap<[u8; 16], u8>, sequence: u64) -> Vec<Vec<u8>> {
    let mut by_page: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
    for (id, flags) in entries {
        let entry = (Subject(*id), Flags::from_bits(*flags).unwrap());
        by_page.entry(page_of(&entry.0)).or_default().push(entry);
    }
    by_page.into_iter().map(|(number, entries)| Page::encode(number, sequence, &entries)).collect()
}

proptest! {
    #[test]
    fn a_list_says_what_a_map_says(entries in proptest::collection::btree_map(any::<[u8; 16]>(), 1..64_u8, 0..300),
                                   close in proptest::collection::btree_map(entry().prop_map(|e| e.0), 1..64_u8, 0..100),
                                   other in any::<[u8; 16]>()) {
        let entries: BTreeMap<_, _> = entries.into_iter().chain(close).collect();
        let mut list = List::default();
        for bytes in pages(&entries, 1) {
            prop_assert_eq!(list.put(Page::decode(&bytes).unwrap()), Put::Taken);
        }
        prop_assert_eq!(list.len(), entries.len() as u64);
        for (id, flags) in &entries {
            prop_assert_eq!(list.get(&Subject(*id)).bits(), *flags);
        }
        prop_assert_eq!(list.get(&Subject(other)).bits(), entries.get(&other).copied().unwrap_or(0));
        let told: BTreeMap<_, _> = list.iter().map(|(subject, flags)| (subject.0, flags.bits())).collect();
        prop_assert_eq!(told, entries);
    }

    #[test]
    fn what_is_no_page_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1..18_usize) {
        // Nothing made up is taken, and nothing panics.
        prop_assert!(Page::decode(&bytes).is_err());
        let mut made = page::MAGIC.to_vec();
        made.extend(&bytes);
        let _ = Page::decode(&made);
        prop_assert!(Head::decode(&bytes).is_err());
        let whole = Page::encode(0, 1, &[(Subject([0; 16]), Flags::of(Measure::Use, Reach::Contact))]);
        prop_assert!(Page::decode(&whole[..whole.len() - cut]).is_err());
    }
}

fn subject(first: u8, last: u8) -> Subject {
    let mut id = [0; 16];
    (id[0], id[15]) = (first, last);
    Subject(id)
}

#[test]
fn a_page_in_disorder_is_refused() {
    let stop = Flags::of(Measure::Use, Reach::Contact);
    let decode = |entries: &[Entry]| Page::decode(&Page::encode(0, 1, entries)).map(|_| ());
    let (a, b) = (subject(0, 1), subject(0, 2));
    assert_eq!(decode(&[(a, stop), (b, stop)]), Ok(()));
    assert_eq!(decode(&[(b, stop), (a, stop)]), Err(PageError::Order(1)));
    assert_eq!(decode(&[(a, stop), (a, stop)]), Err(PageError::Order(1)));
    assert_eq!(decode(&[(subject(1, 1), stop)]), Err(PageError::Order(0)));
    assert_eq!(decode(&[(a, Flags::NONE)]), Err(PageError::Flags(0)));
    let mut unknown = Page::encode(0, 1, &[(a, stop)]);
    *unknown.last_mut().unwrap() = 0x40;
    assert_eq!(Page::decode(&unknown), Err(PageError::Flags(0)));
}

#[test]
fn an_older_page_does_not_come_back_and_a_missing_one_is_found_out() {
    let stop = Flags::of(Measure::Provision, Reach::Contact);
    let page = |number: u8, sequence, entries: &[Entry]| {
        Page::decode(&Page::encode(u16::from(number) << 4, sequence, entries)).unwrap()
    };
    let (mut list, mut lacks) = (List::default(), List::default());
    let empty = list.root();
    assert_eq!(list.put(page(0, 5, &[(subject(0, 1), stop)])), Put::Taken);
    assert_eq!(list.put(page(0, 4, &[])), Put::Older);
    assert_eq!(list.put(page(0, 5, &[(subject(0, 1), stop)])), Put::Repeated);
    assert!(list.get(&subject(0, 1)).withholds());
    assert_eq!(list.put(page(1, 6, &[(subject(1, 1), stop)])), Put::Taken);
    lacks.put(page(1, 6, &[(subject(1, 1), stop)]));
    assert!(list.root() != lacks.root() && list.root() != empty);
    // Lifted: the page is told anew without the contact.
    assert_eq!(list.put(page(0, 7, &[])), Put::Taken);
    assert!(list.get(&subject(0, 1)).is_none());
    assert_eq!(list.len(), 1);
}

#[test]
fn the_most_restrictive_wins_and_persons_reach_their_contacts() {
    let (mail, whole) = (Flags::of(Measure::Mail, Reach::Contact), Flags::of(Measure::Use, Reach::Person));
    assert!(mail.mutes() && !mail.withholds() && mail.of_person().is_none());
    assert!(whole.withholds() && !whole.mutes());
    assert_eq!(whole.of_person(), Flags::of(Measure::Use, Reach::Contact));
    let both = mail.union(whole);
    assert!(both.mutes() && both.withholds());
    assert_eq!(Flags::from_bits(0x40), None);
}

#[test]
fn keys_are_contact_ids_and_nothing_else() {
    let id: jointuse::ContactId = "00112233445566778899aabbccddeeff".parse().unwrap();
    let subject = Subject::from_key(id.as_str().as_bytes()).unwrap();
    assert_eq!(subject.to_string(), id.as_str());
    assert_eq!(Subject::from(&id), subject);
    for bad in ["", "0011", "00112233445566778899AABBCCDDEEFF", "00112233445566778899aabbccddeeff0"] {
        assert_eq!(Subject::from_key(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn a_head_survives_its_bytes() {
    let head = Head { sequence: 7, issued_at: -1, expires_at: 9, entries: 3, root: [5; 32] };
    assert_eq!(Head::decode(&head.encode()), Ok(head));
    assert!(is_head(&head.encode()) && !is_head(&Page::encode(0, 1, &[])));
    assert_eq!(Head::decode(&head.encode()[1..]), Err(HeadError));
}
