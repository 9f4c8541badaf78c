//! One company's book of cards: parts of the universe, seen at different times, with gaps, repetitions and other spellings.

use chrono::{Days, NaiveDate};

use super::{
    dice::Dice,
    universe::{AS_OF, Human, Organisation, Post, Universe},
};

/// A card as it came into a company's service. `None` where the card or the typist left it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    /// Index of the human being: the truth, in no file but `truth.json`.
    pub(crate) human: usize,
    /// Index of the post, 0 the earliest.
    pub(crate) post: usize,
    /// The company's own reference, where its service has one.
    pub(crate) reference: String,
    /// On which day it was registered.
    pub(crate) registered_on: NaiveDate,
    pub(crate) organisation: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) given: Option<String>,
    pub(crate) family_kana: Option<String>,
    pub(crate) given_kana: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) postal_code: Option<String>,
    pub(crate) prefecture: Option<String>,
    pub(crate) rest_of_address: Option<String>,
    pub(crate) telephone: Option<String>,
    pub(crate) direct: Option<String>,
    pub(crate) fax: Option<String>,
    pub(crate) mobile: Option<String>,
    pub(crate) url: Option<String>,
    /// Connected in the service (Eight).
    pub(crate) connected: bool,
    /// A character was not recognised and stands as `?`.
    pub(crate) unrecognised: bool,
}

impl Card {
    /// The address in one line.
    pub(crate) fn address(&self) -> Option<String> {
        let rest = self.rest_of_address.as_deref()?;
        Some(format!("{}{rest}", self.prefecture.as_deref().unwrap_or_default()))
    }

    /// Family and given name with a space.
    pub(crate) fn full_name(&self) -> Option<String> {
        match (&self.family, &self.given) {
            (Some(family), Some(given)) => Some(format!("{family} {given}")),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}

/// A company's cards in the order of its export.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    /// The cards.
    pub(crate) cards: Vec<Card>,
    dice: Dice,
}

impl Book {
    /// Exactly `count` cards; `overlap` of a thousand people are taken from those whom `known_elsewhere` names.
    pub(crate) fn fill(
        universe: &mut Universe,
        seed: u64,
        name: &str,
        count: usize,
        overlap: usize,
        known_elsewhere: &[usize],
    ) -> Self {
        let mut book = Self { cards: Vec::with_capacity(count), dice: Dice::new(seed, name) };
        let mut elsewhere = known_elsewhere.to_vec();
        book.dice.shuffle(&mut elsewhere);
        while book.cards.len() < count {
            let shared = if book.dice.permille(overlap) { elsewhere.pop() } else { None };
            let human = shared.unwrap_or_else(|| universe.add_human());
            book.add_person(universe, human, count);
        }
        let Self { cards, dice } = &mut book;
        dice.shuffle(cards);
        for (number, card) in cards.iter_mut().enumerate() {
            card.reference = format!("{}{:06}-{}", &name.chars().next().unwrap_or('c'), number + 1, dice.hex(6));
        }
        book
    }

    /// The people in it, each once, in order of appearance.
    pub(crate) fn humans(&self) -> Vec<usize> {
        let mut seen = std::collections::BTreeSet::new();
        self.cards.iter().map(|card| card.human).filter(|human| seen.insert(*human)).collect()
    }

    fn add_person(&mut self, universe: &Universe, index: usize, limit: usize) {
        let Some(human) = universe.humans.get(index) else { return };
        let dice = &mut self.dice;
        // 922 cards are of 802 people; who has several has two, sometimes up to six.
        let repeats = if dice.permille(125) { 1 + dice.weighted([86, 9, 3, 1, 1]) } else { 0 };
        let present = human.posts.len() - 1;
        let post = if present > 0 && dice.permille(400) { 0 } else { present };
        let first = card(dice, universe, (index, human), post);
        let mut cards = vec![first.clone()];
        for _ in 0..repeats {
            let mut again = if post < present && dice.permille(500) {
                card(dice, universe, (index, human), present)
            } else {
                first.clone()
            };
            if dice.permille(550) {
                again.registered_on = a_day(dice, human.present());
            }
            if dice.permille(200) {
                respell(dice, universe, human, &mut again);
            }
            cards.push(again);
        }
        cards.truncate(limit - self.cards.len());
        self.cards.extend(cards);
    }
}

fn respell(dice: &mut Dice, universe: &Universe, human: &Human, card: &mut Card) {
    let organisation = human.posts.get(card.post).and_then(|post| universe.organisations.get(post.organisation));
    if let (Some(organisation), true) = (organisation, card.organisation.is_some()) {
        card.organisation = Some(organisation.respelled(dice));
    }
}

fn a_day(dice: &mut Dice, post: &Post) -> NaiveDate {
    let days = AS_OF.signed_duration_since(post.since).num_days().max(1);
    let later = dice.below(usize::try_from(days).unwrap_or(1) + 1) as u64;
    post.since.checked_add_days(Days::new(later)).unwrap_or(AS_OF)
}

/// Rates are those of a real export of 922 cards.
fn card(dice: &mut Dice, universe: &Universe, (index, human): (usize, &Human), at: usize) -> Card {
    let post = human.posts.get(at).unwrap_or_else(|| human.present());
    let home = universe.organisations.get(post.organisation);
    let of_home = |f: &dyn Fn(&Organisation) -> String| home.map(f);
    let spelling = match home {
        Some(home) if dice.permille(120) => Some(home.respelled(dice)),
        home => home.map(Organisation::name),
    };
    // Few have no company, fewer no name; both at once happens more often than by chance.
    let nameless = dice.permille(8);
    let homeless = if nameless { dice.permille(430) } else { dice.permille(47) };
    let addressed = dice.permille(910);
    let (postal, prefecture, town) = (dice.permille(975), dice.permille(958), addressed);
    let mut card = Card {
        human: index,
        post: at,
        reference: String::new(),
        registered_on: a_day(dice, post),
        organisation: spelling.filter(|_| !homeless),
        department: dice.permille(310).then(|| post.department.to_owned()),
        title: dice.permille(820).then(|| post.title.to_owned()),
        family: (!nameless).then(|| human.family.0.to_owned()),
        given: (!nameless && dice.permille(988)).then(|| human.given.0.to_owned()),
        family_kana: (!nameless).then(|| human.family.1.to_owned()),
        given_kana: (!nameless).then(|| human.given.1.to_owned()),
        email: dice.permille(890).then(|| post.email.clone()),
        postal_code: of_home(&|home| home.postal_code.clone()).filter(|_| addressed && postal),
        prefecture: of_home(&|home| home.prefecture.to_owned()).filter(|_| town && prefecture),
        rest_of_address: of_home(&|home| home.rest_of_address.clone()).filter(|_| town),
        telephone: home
            .filter(|_| dice.permille(710))
            .map(|home| home.telephone.clone())
            .map(|phone| phone.written(dice)),
        direct: post.direct.clone().filter(|_| dice.permille(50)).map(|phone| phone.written(dice)),
        fax: home.filter(|_| dice.permille(500)).map(|home| home.fax.clone()).map(|phone| phone.written(dice)),
        mobile: dice.permille(700).then(|| human.mobile.written(dice)),
        url: home.filter(|_| dice.permille(500)).map(|home| format!("https://www.{}/", home.domain)),
        connected: dice.permille(250),
        unrecognised: false,
    };
    if dice.permille(120) {
        card.postal_code = card.postal_code.map(|code| code.replace('-', ""));
    }
    if dice.permille(20) {
        // Typed with capitals: still the same address.
        card.email = card.email.map(|email| email.to_uppercase());
    }
    if dice.permille(6) {
        let mut family: Vec<char> = card.family.take().unwrap_or_default().chars().collect();
        if family.pop().is_some() {
            card.unrecognised = true;
            card.family = Some(family.into_iter().chain(['?']).collect());
        }
    }
    card
}
