//! The people and organisations that all sample companies know parts of.
//!
//! Nobody here exists: domains end in `.example`, streets are invented, and telephone numbers are of ranges given to nobody
//! (no exchange in Japan begins with 1, no mobile number has a 0 after 070, 080 or 090).

use chrono::{Days, NaiveDate};

use super::{
    dice::Dice,
    romaji::romaji,
    tables::{BUILDINGS, DEPARTMENTS, FAMILY, GIVEN, STEMS, STREETS, TITLES, TOWNS, TRADES},
};

/// The newest day that samples know.
pub const AS_OF: NaiveDate = NaiveDate::from_ymd_opt(2026, 6, 30).expect("a valid date");

/// A telephone number by its parts, so that it can be written in any shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    area: String,
    local: String,
    last: String,
}

impl Phone {
    fn fixed(dice: &mut Dice, area: &str) -> Self {
        // Nine digits after the 0.
        let local = format!("1{}", dice.digits(4 - area.len()));
        Self { area: area.to_owned(), local, last: dice.digits(4) }
    }

    fn mobile(dice: &mut Dice) -> Self {
        let area = dice.pick(&["90", "80", "70"]);
        Self { area: area.to_owned(), local: format!("0{}", dice.digits(3)), last: dice.digits(4) }
    }

    /// `03-1234-5678`
    pub fn hyphens(&self) -> String {
        format!("0{}-{}-{}", self.area, self.local, self.last)
    }

    /// `+81-3-1234-5678`
    pub fn international(&self) -> String {
        format!("+81-{}-{}-{}", self.area, self.local, self.last)
    }

    /// `0312345678`
    pub fn plain(&self) -> String {
        format!("0{}{}{}", self.area, self.local, self.last)
    }

    /// In one of the shapes that exports show.
    pub(crate) fn written(&self, dice: &mut Dice) -> String {
        match dice.below(100) {
            0..=77 => self.hyphens(),
            78..=89 => self.plain(),
            _ => self.international(),
        }
    }
}

/// A client organisation.
#[derive(Debug, Clone)]
pub struct Organisation {
    /// Name without its legal form.
    pub core: String,
    form: &'static str,
    before: bool,
    /// Domain of its e-mail addresses.
    pub domain: String,
    /// `999-9999`
    pub postal_code: String,
    /// Prefecture.
    pub prefecture: &'static str,
    /// Town, street, number and building.
    pub rest_of_address: String,
    /// Switchboard.
    pub telephone: Phone,
    /// Fax.
    pub fax: Phone,
    area: &'static str,
}

impl Organisation {
    fn new(dice: &mut Dice, number: usize) -> Self {
        let (stem, kana) = dice.pick(STEMS);
        let (trade, word) = dice.pick(TRADES);
        let (prefecture, town, postal, area, _) = TOWNS
            .get(dice.weighted(TOWNS.iter().map(|town| town.4)))
            .copied()
            .unwrap_or(("東京都", "渋谷区", "150", "3", 1));
        let (form, before) = match dice.below(100) {
            0..=45 => ("株式会社", true),
            46..=89 => ("株式会社", false),
            90..=93 => ("有限会社", true),
            94..=97 => ("合同会社", false),
            _ => ("一般社団法人", true),
        };
        // Two companies of one name sit in different towns, so a number keeps their domains apart.
        let domain = format!("{}-{word}{number}.example", romaji(kana));
        let mut rest = format!(
            "{town}{}{}-{}-{}",
            dice.pick(STREETS),
            dice.between(1, 6),
            dice.between(1, 30),
            dice.between(1, 20)
        );
        if dice.permille(450) {
            rest.push_str(&format!(" {}{}F", dice.pick(BUILDINGS), dice.between(2, 28)));
        }
        Self {
            core: format!("{stem}{trade}"),
            form,
            before,
            domain,
            postal_code: format!("{postal}-0{}", dice.digits(3)),
            prefecture,
            rest_of_address: rest,
            telephone: Phone::fixed(dice, area),
            fax: Phone::fixed(dice, area),
            area,
        }
    }

    /// As registered.
    pub fn name(&self) -> String {
        self.with_form(self.form, "")
    }

    /// As some card or typist spells it.
    pub(crate) fn respelled(&self, dice: &mut Dice) -> String {
        match (self.form, dice.below(4)) {
            ("株式会社", 0) => self.with_form("㈱", ""),
            ("株式会社", 1) => self.with_form("(株)", ""),
            ("株式会社", 2) => self.with_form("（株）", ""),
            (form, 3) => self.with_form(form, "　"),
            (form, _) => self.with_form(form, " "),
        }
    }

    fn with_form(&self, form: &str, space: &str) -> String {
        if self.before { format!("{form}{space}{}", self.core) } else { format!("{}{space}{form}", self.core) }
    }
}

/// A post that a person holds or held.
#[derive(Debug, Clone)]
pub struct Post {
    /// Index of the organisation.
    pub organisation: usize,
    /// Department.
    pub department: &'static str,
    /// Title.
    pub title: &'static str,
    /// E-mail address.
    pub email: String,
    /// Direct line, for few.
    pub direct: Option<Phone>,
    /// From then on.
    pub since: NaiveDate,
}

/// A human being.
#[derive(Debug, Clone)]
pub struct Human {
    /// Family name and its reading.
    pub family: (&'static str, &'static str),
    /// Given name and its reading.
    pub given: (&'static str, &'static str),
    /// Mobile number, kept through all posts.
    pub mobile: Phone,
    /// Posts in order; never empty.
    pub posts: Vec<Post>,
}

impl Human {
    /// The present post.
    #[expect(clippy::expect_used, reason = "made with one post, and none is ever removed")]
    pub fn present(&self) -> &Post {
        self.posts.last().expect("a post")
    }
}

/// Everybody.
#[derive(Debug, Clone)]
pub struct Universe {
    dice: Dice,
    /// Organisations, as they came up.
    pub organisations: Vec<Organisation>,
    /// People, as they came up.
    pub humans: Vec<Human>,
}

impl Universe {
    /// Nobody yet.
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed, "universe"), organisations: Vec::new(), humans: Vec::new() }
    }

    /// Adds one more human being and answers its index.
    pub fn add_human(&mut self) -> usize {
        let organisation = self.some_organisation();
        let mut human = self.human_at(organisation);
        // Same-name colleagues must not be taken for one person.
        if self.dice.permille(6) {
            let colleague = self.humans.iter().find(|other| other.present().organisation == organisation);
            if let Some(colleague) = colleague {
                (human.family, human.given) = (colleague.family, colleague.given);
            }
        }
        // Some have moved: the older post comes first.
        if self.dice.permille(90) {
            let earlier = self.some_organisation();
            let mut post = self.post_at(earlier, human.family.1, human.given.1);
            post.since = human.present().since.checked_sub_days(Days::new(900)).unwrap_or(AS_OF);
            // Within a group of companies the address stays though the name on the card changes.
            if self.dice.permille(250) {
                post.email.clone_from(&human.present().email);
            }
            human.posts.insert(0, post);
        }
        self.humans.push(human);
        self.humans.len() - 1
    }

    fn some_organisation(&mut self) -> usize {
        let known = self.organisations.len();
        if known == 0 || self.dice.permille(720) {
            let organisation = Organisation::new(&mut self.dice, known + 1);
            self.organisations.push(organisation);
            known
        } else {
            // The earlier ones are the better known.
            let reach = self.dice.below(known) + 1;
            self.dice.below(reach)
        }
    }

    fn human_at(&mut self, organisation: usize) -> Human {
        let family = FAMILY
            .get(self.dice.weighted(FAMILY.iter().map(|name| name.2)))
            .map_or(("林", "ハヤシ"), |n| (n.0, n.1));
        let given = self.dice.pick(GIVEN);
        let mobile = Phone::mobile(&mut self.dice);
        let post = self.post_at(organisation, family.1, given.1);
        Human { family, given, mobile, posts: vec![post] }
    }

    fn post_at(&mut self, organisation: usize, family_kana: &str, given_kana: &str) -> Post {
        let dice = &mut self.dice;
        let (domain, area) =
            self.organisations.get(organisation).map_or(("sample.example", "3"), |o| (o.domain.as_str(), o.area));
        let (family, given) = (romaji(family_kana), romaji(given_kana));
        let initial = given.chars().next().unwrap_or('x');
        let local = match dice.below(100) {
            0..=1 => dice.pick(&["info", "soumu", "jinji", "contact"]).to_owned(),
            2..=39 => format!("{given}.{family}"),
            40..=59 => format!("{family}.{given}"),
            60..=79 => format!("{initial}.{family}"),
            80..=89 => format!("{family}-{initial}"),
            _ => format!("{family}{}", dice.digits(3)),
        };
        let title = TITLES.get(dice.weighted(TITLES.iter().map(|title| title.1))).map_or("部長", |title| title.0);
        Post {
            organisation,
            department: dice.pick(DEPARTMENTS),
            title,
            email: format!("{local}@{domain}"),
            direct: dice.permille(30).then(|| Phone::fixed(dice, area)),
            since: AS_OF.checked_sub_days(Days::new(200 + dice.below(2400) as u64)).unwrap_or(AS_OF),
        }
    }
}
