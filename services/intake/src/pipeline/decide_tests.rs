//! The rule, case by case, and re-imports of any file in any order.

use proptest::prelude::*;

use super::*;
use crate::judge::{Place, Replacing};

const OWN: Replacing = Replacing { tie: Tie::Refuse, monotonic: false };
const SEQUENCED: Replacing = Replacing { tie: Tie::Refuse, monotonic: true };
const CARDS: Replacing = Replacing { tie: Tie::Pick, monotonic: true };

fn row(id: u8, content: u8, rank: i64, replacing: Replacing) -> Candidate {
    Candidate {
        place: Place::default(),
        id: [id; 16],
        contact: format!("{id:032x}").parse().unwrap(),
        fingerprint: [content; 16],
        rank,
        filled: i16::from(content % 3),
        replacing,
        email_key: None,
        value: Vec::new(),
        warnings: Vec::new(),
    }
}

/// What the database would know after these batches; the verdicts of the last request.
#[derive(Default)]
struct World {
    before: Before,
    published: Vec<(u8, u8)>,
    requests: i64,
}

impl World {
    fn request(&mut self, rows: &[Candidate], batch: usize) -> Vec<Verdict> {
        self.requests += 1;
        let mut verdicts = Vec::new();
        for rows in rows.chunks(batch) {
            let decision = decide(&rows.iter().collect::<Vec<_>>(), &self.before, self.requests);
            for (row, verdict) in rows.iter().zip(&decision.verdicts) {
                if let Verdict::Publish { new } = verdict {
                    assert_eq!(*new, !self.before.known.contains_key(&row.id));
                    self.published.push((row.id[0], row.fingerprint[0]));
                    let known = Known {
                        fingerprint: row.fingerprint,
                        rank: row.rank,
                        filled: row.filled,
                        import: self.requests,
                    };
                    self.before.known.insert(row.id, known);
                }
            }
            for id in decision.seen {
                self.before.known.get_mut(&id).unwrap().import = self.requests;
            }
            self.before.superseded.extend(decision.lost);
            verdicts.extend(decision.verdicts);
        }
        verdicts
    }
}

#[test]
fn the_same_again_publishes_nothing_and_a_change_does() {
    let mut world = World::default();
    assert_eq!(world.request(&[row(1, 1, 0, OWN)], 10), [Verdict::Publish { new: true }]);
    assert_eq!(world.request(&[row(1, 1, 0, OWN)], 10), [Verdict::Unchanged(None)]);
    assert_eq!(world.request(&[row(1, 2, 0, OWN)], 10), [Verdict::Publish { new: false }]);
    assert_eq!(world.request(&[row(1, 1, 0, OWN)], 10), [Verdict::Publish { new: false }], "and back again");
}

#[test]
fn own_references_are_unique_within_a_request() {
    for batch in [1, 10] {
        let mut world = World::default();
        let file = [row(1, 1, 0, OWN), row(1, 1, 0, OWN), row(1, 2, 0, OWN)];
        let verdicts = world.request(&file, batch);
        assert!(matches!(verdicts[1], Verdict::Unchanged(None) | Verdict::Follows(0, None)));
        assert_eq!(verdicts[2], Verdict::Refuse(Rule::DuplicateReference));
        let again = world.request(&file, batch);
        assert_eq!(again[0], Verdict::Unchanged(None));
        assert_eq!(again[2], Verdict::Refuse(Rule::DuplicateReference), "seen in this request, though unchanged");
        assert_eq!(world.published.len(), 1);
    }
}

#[test]
fn later_sequences_replace_and_earlier_ones_do_not() {
    for batch in [1, 10] {
        let mut world = World::default();
        world.request(&[row(1, 1, 0, SEQUENCED), row(1, 2, 1, SEQUENCED)], batch);
        assert_eq!(world.published.last(), Some(&(1, 2)));
        let stale = world.request(&[row(1, 1, 0, SEQUENCED)], batch);
        assert_eq!(stale, [Verdict::Unchanged(Some(Rule::OlderThanPublished))]);
    }
}

#[test]
fn within_a_batch_only_the_winner_is_published() {
    let mut world = World::default();
    let verdicts = world.request(&[row(1, 1, 5, CARDS), row(1, 2, 9, CARDS), row(1, 3, 7, CARDS)], 10);
    let superseded = Some(Rule::Superseded);
    assert_eq!(
        verdicts,
        [Verdict::Follows(1, superseded), Verdict::Publish { new: true }, Verdict::Follows(1, superseded)]
    );
}

#[test]
fn a_correction_of_a_card_with_the_same_date_is_published() {
    let mut world = World::default();
    world.request(&[row(1, 200, 5, CARDS)], 10);
    assert_eq!(world.request(&[row(1, 3, 5, CARDS)], 10), [Verdict::Publish { new: false }]);
    assert_eq!(
        world.request(&[row(1, 3, 4, CARDS)], 10),
        [Verdict::Unchanged(None)],
        "same content, whatever the rank says"
    );
    assert_eq!(world.request(&[row(1, 4, 4, CARDS)], 10), [Verdict::Unchanged(Some(Rule::OlderThanPublished))]);
}

fn cards() -> impl Strategy<Value = Vec<Candidate>> {
    // The content says its rank, as a card says its date.
    prop::collection::vec((0u8..4, 0u8..12), 1..40).prop_map(|cards| {
        cards.into_iter().map(|(id, content)| row(id, content, i64::from(content % 4), CARDS)).collect()
    })
}

proptest! {
    /// Importing the same cards again, in any order and any batches, publishes nothing, and what stands is the newest card.
    #[test]
    fn a_re_export_in_any_order_publishes_nothing(file in cards(), batches in (1usize..8, 1usize..8), shuffle in any::<u64>()) {
        let mut world = World::default();
        world.request(&file, batches.0);
        let published = world.published.len();
        for row in &file {
            let newest = file.iter().filter(|other| other.id == row.id).map(|other| other.rank).max().unwrap();
            prop_assert_eq!(world.before.known[&row.id].rank, newest);
        }
        let mut again = file.clone();
        let length = again.len();
        for index in 0..length {
            again.swap(index, usize::try_from(shuffle % (index as u64 + 1)).unwrap());
        }
        world.request(&again, batches.1);
        prop_assert_eq!(world.published.len(), published);
    }

    /// The first import ends the same whatever the order.
    #[test]
    fn the_winner_does_not_depend_on_the_order(file in cards(), batch in 1usize..8) {
        let mut forwards = World::default();
        forwards.request(&file, batch);
        let mut backwards = World::default();
        let reversed: Vec<_> = file.iter().rev().cloned().collect();
        backwards.request(&reversed, batch);
        for row in &file {
            prop_assert_eq!(forwards.before.known[&row.id].fingerprint, backwards.before.known[&row.id].fingerprint);
        }
    }
}
