//! Katakana in Hepburn letters, as Japanese e-mail addresses spell names: without long vowels.

#[rustfmt::skip]
const PAIRS: &[(&str, &str)] = &[
    ("キャ", "kya"), ("キュ", "kyu"), ("キョ", "kyo"), ("シャ", "sha"), ("シュ", "shu"), ("ショ", "sho"), ("チャ", "cha"), ("チュ", "chu"),
    ("チョ", "cho"), ("ニャ", "nya"), ("ニュ", "nyu"), ("ニョ", "nyo"), ("ヒャ", "hya"), ("ヒュ", "hyu"), ("ヒョ", "hyo"), ("ミャ", "mya"),
    ("ミュ", "myu"), ("ミョ", "myo"), ("リャ", "rya"), ("リュ", "ryu"), ("リョ", "ryo"), ("ギャ", "gya"), ("ギュ", "gyu"), ("ギョ", "gyo"),
    ("ジャ", "ja"), ("ジュ", "ju"), ("ジョ", "jo"), ("ビャ", "bya"), ("ビュ", "byu"), ("ビョ", "byo"), ("ティ", "ti"), ("ファ", "fa"),
];

const SINGLES: &str = "アaイiウuエeオoカkaキkiクkuケkeコkoサsaシshiスsuセseソsoタtaチchiツtsuテteトtoナnaニniヌnuネneノnoハhaヒhi\
フfuヘheホhoマmaミmiムmuメmeモmoヤyaユyuヨyoラraリriルruレreロroワwaヲoンnガgaギgiグguゲgeゴgoザzaジjiズzuゼzeゾzoダdaヂji\
ヅzuデdeドdoバbaビbiブbuベbeボboパpaピpiプpuペpeポpoヴvu";

/// `サトウ` is `sato`. What is no katakana is left out.
pub(crate) fn romaji(kana: &str) -> String {
    let mut out = String::new();
    let mut rest = kana;
    let mut double = false;
    while let Some(first) = rest.chars().next() {
        let pair = PAIRS.iter().find(|(kana, _)| rest.starts_with(kana));
        let (letters, used) = match pair {
            Some((kana, letters)) => ((*letters).to_owned(), kana.len()),
            None => (single(first), first.len_utf8()),
        };
        if first == 'ッ' {
            double = true;
        } else {
            if let (true, Some(consonant)) = (double, letters.chars().next()) {
                out.push(consonant);
            }
            double = false;
            out.push_str(&letters);
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    for (long, short) in [("ou", "o"), ("oo", "o"), ("uu", "u")] {
        out = out.replace(long, short);
    }
    out
}

fn single(kana: char) -> String {
    SINGLES
        .split_once(kana)
        .map(|(_, after)| after.chars().take_while(char::is_ascii_lowercase).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::tables;

    #[test]
    fn spells_as_addresses_do() {
        for (kana, letters) in [
            ("サトウ", "sato"),
            ("オオタ", "ota"),
            ("ジュンイチロウ", "junichiro"),
            ("ユウコ", "yuko"),
            ("ハットリ", "hattori"),
        ] {
            assert_eq!(romaji(kana), letters);
        }
    }

    #[test]
    fn every_name_of_the_tables_has_a_spelling() {
        let family = tables::FAMILY.iter().map(|entry| entry.1);
        let given = tables::GIVEN.iter().map(|entry| entry.1);
        for kana in family.chain(given).chain(tables::STEMS.iter().map(|entry| entry.1)) {
            let letters = romaji(kana);
            assert!(!letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase()), "{kana}");
        }
    }
}
