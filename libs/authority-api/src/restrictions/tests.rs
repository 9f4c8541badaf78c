use restriction::{Flags, Measure, Reach, Subject};

use super::*;

const TOPIC: &str = "jointuse.restrictions";

struct Teller {
    signer: RestrictionSigner,
    list: List,
}

impl Teller {
    fn new() -> Self {
        Self { signer: RestrictionSigner::new(SigningKey::generate().unwrap(), TOPIC), list: List::default() }
    }

    fn page(&mut self, first: u8, sequence: u64, contacts: &[u8]) -> Vec<u8> {
        let stop = Flags::of(Measure::Use, Reach::Contact);
        let entries: Vec<_> = contacts.iter().map(|last| (subject(first, *last), stop)).collect();
        let page = Page::encode(u16::from(first) << 4, sequence, &entries);
        self.list.put(Page::decode(&page).unwrap());
        self.signer.sign(page)
    }

    fn head(&self, sequence: u64, issued_at: i64) -> Vec<u8> {
        let (entries, root) = (self.list.len(), self.list.root());
        self.signer.sign(Head { sequence, issued_at, expires_at: issued_at + 1_000, entries, root }.encode())
    }

    fn watch(&self, dir: &Path) -> RestrictionWatch {
        RestrictionWatch::open(vec![self.signer.public()], TOPIC, dir).unwrap()
    }
}

fn subject(first: u8, last: u8) -> Subject {
    let mut id = [0; 16];
    (id[0], id[15]) = (first, last);
    Subject(id)
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap()
}

#[test]
fn a_list_is_in_force_when_a_head_says_it_is_whole_and_until_that_expires() {
    let dir = tempfile::tempdir().unwrap();
    let mut teller = Teller::new();
    let mut watch = teller.watch(dir.path());
    let handle = watch.handle();
    let (one, two) = (teller.page(1, 1, &[1]), teller.page(2, 2, &[1]));
    let head = teller.head(2, 5_000);
    assert!(matches!(watch.offer(&one), RestrictionOffer::Page));
    assert!(handle.latest().is_none(), "no head yet");
    // A page is missing: a truncated list is found out.
    assert!(matches!(watch.offer(&head), RestrictionOffer::Incomplete));
    assert!(handle.latest().is_none());
    assert!(matches!(watch.offer(&two), RestrictionOffer::Page));
    assert!(matches!(watch.offer(&head), RestrictionOffer::Head(_)));
    let held = handle.current(at(5_999)).unwrap();
    assert!(held.list.get(&subject(2, 1)).withholds() && held.sequence == 2);
    assert!(handle.current(at(6_000)).is_none(), "stale is refused");
    // The next page counts before its head does.
    let more = teller.page(1, 3, &[1, 2]);
    watch.offer(&more);
    let held = handle.current(at(5_999)).unwrap();
    assert!(held.list.get(&subject(1, 2)).withholds() && held.sequence == 2);
    assert!(matches!(watch.offer(&one), RestrictionOffer::Older));
    assert!(matches!(watch.offer(&teller.head(3, 5_500)), RestrictionOffer::Head(_)));
    assert!(matches!(watch.offer(&head), RestrictionOffer::Older));
    // Whoever comes back remembers how far the list had come.
    let mut again = teller.watch(dir.path());
    for bytes in [&one, &two, &head] {
        again.offer(bytes);
    }
    assert!(again.handle().latest().is_none(), "a list of before is not believed");
    again.offer(&more);
    again.offer(&teller.head(3, 6_000));
    assert!(again.handle().latest().is_some());
}

#[test]
fn what_somebody_else_made_or_made_for_elsewhere_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut teller, mut stranger) = (Teller::new(), Teller::new());
    let mut watch = teller.watch(dir.path());
    let elsewhere = RestrictionSigner::new(SigningKey::from_pem(&teller.signer.key.to_pem()).unwrap(), "other");
    let mut page = teller.page(1, 1, &[1]);
    let forged = |offer| matches!(offer, RestrictionOffer::Forged(_));
    assert!(forged(watch.offer(&stranger.page(1, 9, &[]))));
    assert!(forged(watch.offer(&elsewhere.sign(Page::encode(16, 9, &[])))));
    assert!(forged(watch.offer(&[])) && forged(watch.offer(&[0; 200])));
    let last = page.len() - 70;
    page[last] ^= 1;
    assert!(forged(watch.offer(&page)), "a changed byte");
    assert!(watch.pages().is_empty());
}

#[test]
fn a_head_that_does_not_fit_ends_what_was_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let mut teller = Teller::new();
    let mut watch = teller.watch(dir.path());
    let handle = watch.handle();
    watch.offer(&teller.head(0, 1_000));
    assert!(handle.current(at(1_001)).unwrap().list.is_empty());
    let lost = teller.page(7, 1, &[1]);
    assert!(matches!(watch.offer(&teller.head(1, 1_100)), RestrictionOffer::Incomplete));
    assert!(handle.current(at(1_101)).is_none());
    watch.offer(&lost);
    assert!(matches!(watch.offer(&teller.head(1, 1_200)), RestrictionOffer::Head(_)));
    assert!(handle.current(at(1_201)).unwrap().list.get(&subject(7, 1)).withholds());
}
