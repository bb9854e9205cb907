//! [`unstyled`]: letters and digits that Unicode has once more in another style: `𝐌`, `Ⓜ`, `Ｍ`, `ᴹ`, `Ⅿ`, `①`, `㎜`.

/// The plain characters of a styled letter, digit or sign of Latin or Greek, as Unicode's compatibility decomposition has them;
/// small capitals (`ᴍ`) and letters in filled circles and squares, which it leaves as they are, are letters too. `None` for any
/// other character.
pub(super) fn unstyled(c: char) -> Option<String> {
    if c.is_ascii() {
        return None;
    }
    let code = u32::from(c);
    let of = |&(first, last, style): &(u32, u32, Style)| {
        (first..=last).contains(&code).then(|| style.plain(code - first)).flatten()
    };
    RANGES.iter().find_map(of).or_else(|| {
        let same = WORDS.split(' ').find_map(|word| word.strip_prefix(c));
        same.map(str::to_owned)
    })
}

/// What the characters of a range stand for, by their place in it.
#[derive(Clone, Copy)]
enum Style {
    /// Letters from this one on.
    From(char),
    /// The same in brackets.
    Bracketed(char),
    /// Numbers from this one on, with these around them.
    Number(u32, &'static str, &'static str),
    /// The digits again and again.
    Digits,
    /// The Latin alphabet, large and small, again and again.
    Latin,
    /// The Greek alphabet with its signs, again and again.
    Greek,
    /// Katakana of half the width, and its two accents.
    Kana,
}

impl Style {
    fn plain(self, n: u32) -> Option<String> {
        let from = |first: char, n: u32| char::from_u32(u32::from(first) + n);
        match self {
            Self::From(first) => from(first, n).map(String::from),
            Self::Bracketed(first) => from(first, n).map(|c| format!("({c})")),
            Self::Number(first, before, after) => Some(format!("{before}{}{after}", first + n)),
            Self::Digits => from('0', n % 10).map(String::from),
            Self::Latin => from(if n % 52 < 26 { 'A' } else { 'a' }, n % 26).map(String::from),
            Self::Kana => KANA.chars().nth(usize::try_from(n).ok()?).map(String::from),
            Self::Greek => GREEK.chars().nth(usize::try_from(n % 58).ok()?).map(String::from),
        }
    }
}

/// As they stand in Unicode from U+FF66 on, each as it is in full width.
const KANA: &str = "ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\u{3099}\u{309a}";

const RANGES: [(u32, u32, Style); 28] = [
    (0x2074, 0x2079, Style::Number(4, "", "")),
    (0x2080, 0x2089, Style::Number(0, "", "")),
    (0x2460, 0x2473, Style::Number(1, "", "")),
    (0x2474, 0x2487, Style::Number(1, "(", ")")),
    (0x2488, 0x249b, Style::Number(1, "", ".")),
    (0x249c, 0x24b5, Style::Bracketed('a')),
    (0x24b6, 0x24cf, Style::From('A')),
    (0x24d0, 0x24e9, Style::From('a')),
    (0x24ea, 0x24ea, Style::Number(0, "", "")),
    (0x24eb, 0x24f4, Style::Number(11, "", "")),
    (0x24f5, 0x24fe, Style::Number(1, "", "")),
    (0x24ff, 0x24ff, Style::Number(0, "", "")),
    (0x2776, 0x277f, Style::Number(1, "", "")),
    (0x2780, 0x2789, Style::Number(1, "", "")),
    (0x278a, 0x2793, Style::Number(1, "", "")),
    (0xff01, 0xff5e, Style::From('!')),
    (0xff66, 0xff9f, Style::Kana),
    (0x1_d400, 0x1_d6a3, Style::Latin),
    (0x1_d6a8, 0x1_d7c9, Style::Greek),
    (0x1_d7ce, 0x1_d7ff, Style::Digits),
    (0x1_f100, 0x1_f100, Style::Number(0, "", ".")),
    (0x1_f101, 0x1_f10a, Style::Number(0, "", ",")),
    (0x1_f110, 0x1_f129, Style::Bracketed('A')),
    (0x1_f130, 0x1_f149, Style::From('A')),
    (0x1_f150, 0x1_f169, Style::From('A')),
    (0x1_f170, 0x1_f189, Style::From('A')),
    (0x1_f1e6, 0x1_f1ff, Style::From('A')),
    (0x1_fbf0, 0x1_fbf9, Style::Digits),
];

/// In the order of the mathematical alphabets.
const GREEK: &str = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΘΣΤΥΦΧΨΩ∇αβγδεζηθικλμνξοπρςστυφχψω∂εθκφρπ";

/// Those outside any range: a character, and what it stands for.
const WORDS: &str = "\
    ªa ²2 ³3 ¹1 ºo ¼1/4 ½1/2 ¾3/4 ĲIJ ĳij ǇLJ ǈLj ǉlj ǊNJ ǋNj ǌnj ǱDZ ǲDz ǳdz ʰh ʲj ʳr ʷw ʸy ˡl ˢs ˣx ϐβ ϑθ ϕφ ϖπ ϰκ ϱρ ϵε \
    ϹΣ ᴬA ᴮB ᴰD ᴱE ᴳG ᴴH ᴵI ᴶJ ᴷK ᴸL ᴹM ᴺN ᴼO ᴾP ᴿR ᵀT ᵁU ᵂW ᵃa ᵇb ᵈd ᵉe ᵍg ᵏk ᵐm ᵒo ᵖp ᵗt ᵘu ᵛv ᵝβ ᵞγ ᵟδ ᵠφ ᵡχ ᵢi ᵣr ᵤu \
    ᵥv ᵦβ ᵧγ ᵨρ ᵩφ ᵪχ ᶜc ᶠf ᶻz ᶿθ ․. ‥.. …... ″'' ‴''' ‼!! ⁇?? ⁈?! ⁉!? ⁗'''' ⁰0 ⁱi ⁺+ ⁻- ⁼= ⁽( ⁾) ⁿn ₊+ ₋- ₌= ₍( ₎) ₐa ₑe \
    ₒo ₓx ₕh ₖk ₗl ₘm ₙn ₚp ₛs ₜt ₨Rs ℀a/c ℁a/s ℂC ℃°C ℅c/o ℆c/u ℉°F ℊg ℋH ℌH ℍH ℎh ℐI ℑI ℒL ℓl ℕN №No ℙP ℚQ ℛR ℜR ℝR ℠SM \
    ℡TEL ™TM ℤZ ℨZ ℬB ℭC ℯe ℰE ℱF ℳM ℴo ℹi ℻FAX ℼπ ℽγ ⅅD ⅆd ⅇe ⅈi ⅉj ⅐1/7 ⅑1/9 ⅒1/10 ⅓1/3 ⅔2/3 ⅕1/5 ⅖2/5 ⅗3/5 ⅘4/5 ⅙1/6 \
    ⅚5/6 ⅛1/8 ⅜3/8 ⅝5/8 ⅞7/8 ⅟1/ ⅠI ⅡII ⅢIII ⅣIV ⅤV ⅥVI ⅦVII ⅧVIII ⅨIX ⅩX ⅪXI ⅫXII ⅬL ⅭC ⅮD ⅯM ⅰi ⅱii ⅲiii ⅳiv ⅴv ⅵvi ⅶvii \
    ⅷviii ⅸix ⅹx ⅺxi ⅻxii ⅼl ⅽc ⅾd ⅿm ↉0/3 ⩴::= ⩵== ⩶=== ⱼj ⱽV ㉐PTE ㋌Hg ㋍erg ㋎eV ㋏LTD ㍱hPa ㍲da ㍳AU ㍴bar ㍵oV ㍶pc ㍷dm ㍸dm2 \
    ㍹dm3 ㍺IU ㎀pA ㎁nA ㎂μA ㎃mA ㎄kA ㎅KB ㎆MB ㎇GB ㎈cal ㎉kcal ㎊pF ㎋nF ㎌μF ㎍μg ㎎mg ㎏kg ㎐Hz ㎑kHz ㎒MHz ㎓GHz ㎔THz ㎕μl ㎖ml ㎗dl ㎘kl \
    ㎙fm ㎚nm ㎛μm ㎜mm ㎝cm ㎞km ㎟mm2 ㎠cm2 ㎡m2 ㎢km2 ㎣mm3 ㎤cm3 ㎥m3 ㎦km3 ㎩Pa ㎪kPa ㎫MPa ㎬GPa ㎭rad ㎰ps ㎱ns ㎲μs ㎳ms ㎴pV ㎵nV ㎶μV ㎷mV \
    ㎸kV ㎹MV ㎺pW ㎻nW ㎼μW ㎽mW ㎾kW ㎿MW ㏀kΩ ㏁MΩ ㏂a.m. ㏃Bq ㏄cc ㏅cd ㏇Co. ㏈dB ㏉Gy ㏊ha ㏋HP ㏌in ㏍KK ㏎KM ㏏kt ㏐lm ㏑ln ㏒log ㏓lx ㏔mb \
    ㏕mil ㏖mol ㏗PH ㏘p.m. ㏙PPM ㏚PR ㏛sr ㏜Sv ㏝Wb ㏿gal ꟲC ꟳF ꟴQ ﬀff ﬁfi ﬂfl ﬃffi ﬄffl ﬅst ﬆst ﬩+ ︐, ︓: ︔; ︕! ︖? ︙... ︰.. ︳_ ︴_ \
    ︵( ︶) ︷{ ︸} ﹇[ ﹈] ﹍_ ﹎_ ﹏_ ﹐, ﹒. ﹔; ﹕: ﹖? ﹗! ﹙( ﹚) ﹛{ ﹜} ﹟# ﹠& ﹡* ﹢+ ﹣- ﹤< ﹥> ﹦= ﹨\\ ﹩$ ﹪% ﹫@ 𐞥q 🄫C 🄬R 🄭CD 🄮WZ 🅊HV 🅋MV \
    🅌SD 🅍SS 🅎PPV 🅏WC 🅪MC 🅫MD 🅬MR 🆐DJ ᴀa ʙb ᴄc ᴅd ᴇe ꜰf ɢg ʜh ɪi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_taken_away_as_unicode_says() {
        // From Python's unicodedata.normalize("NFKC", ...), but for the last line.
        for (styled, plain) in [
            ("Ⅿ𝐌ⓂＭᴹ𝙈𝕄ℳ𝗠🅼", "MMMMMMMMMM"),
            ("ⅿ𝐦ⓜｍᵐ𝒎𝓶ₘ", "mmmmmmmm"),
            ("Ⅳⅻ№㎜²⑳⑴⒈⒜", "IVxiiNomm220(1)1.(a)"),
            ("𝟎𝟗𝟘𝟡𝟶𝟿🯰🯹₀⁹⁴", "09090909094"),
            ("𝚨𝛀𝛂𝛚𝛛𝛡𝛢𝞨𝟇", "ΑΩαω∂πΑΩφ"),
            ("½ﬁﬃ", "1/2fiffi"),
            ("ᴍ🅜🅼🇲❶⓿⓵", "mMMM101"),
        ] {
            let all: String = styled.chars().map(|c| unstyled(c).unwrap_or_else(|| c.into())).collect();
            assert_eq!(all, plain);
        }
        for c in ['M', 'é', 'М', 'μ', '男', ' '] {
            assert_eq!(unstyled(c), None, "{c}");
        }
    }
}
