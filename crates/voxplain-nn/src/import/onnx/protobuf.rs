//! The wire format of protocol buffers (<https://protobuf.dev/programming-guides/encoding>): fields of a message, one
//! after the other. Nothing is copied, and nothing is larger than the bytes it stands in.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Text, a message inside this one, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

/// The fields of a message, in the order of its bytes. After an error there are none.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), String> {
        let key = varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).map_err(|_| "a field of a number beyond the format's")?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => Wire::Fixed64(u64::from_le_bytes(*take(&mut self.0)?)),
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).ok().filter(|&length| length <= self.0.len());
                let (bytes, rest) = self.0.split_at(length.ok_or("a field reaches beyond the end of its message")?);
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(*take(&mut self.0)?)),
            kind => return Err(format!("a field of kind {kind}, which protocol buffers do not have")),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    /// The bytes of a text or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(format!("found {}, expected text or a message", other.kind())),
        }
    }

    /// Text; what is no UTF-8 is refused.
    pub(super) fn text(self) -> Result<String, String> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| "found text that is not UTF-8".into())
    }

    /// A whole number with a sign.
    pub(super) fn int(self) -> Result<i64, String> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            other => Err(format!("found {}, expected a whole number", other.kind())),
        }
    }

    /// A number of single precision.
    pub(super) fn float(self) -> Result<f32, String> {
        match self {
            Self::Fixed32(bits) => Ok(f32::from_bits(bits)),
            other => Err(format!("found {}, expected a number of single precision", other.kind())),
        }
    }

    /// Adds whole numbers to a list: one, or many that are packed.
    pub(super) fn ints(self, into: &mut Vec<i64>) -> Result<(), String> {
        match self {
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    into.push(varint(&mut packed)?.cast_signed());
                }
                Ok(())
            }
            one => {
                into.push(one.int()?);
                Ok(())
            }
        }
    }

    /// Adds numbers of single precision to a list: one, or many that are packed.
    pub(super) fn floats(self, into: &mut Vec<f32>) -> Result<(), String> {
        match self {
            Self::Bytes(packed) => {
                let (numbers, rest) = packed.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err("found packed numbers that end in the middle of one".into());
                }
                into.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
                Ok(())
            }
            one => {
                into.push(one.float()?);
                Ok(())
            }
        }
    }

    /// Adds numbers of double precision to a list: one, or many that are packed.
    pub(super) fn doubles(self, into: &mut Vec<f64>) -> Result<(), String> {
        match self {
            Self::Bytes(packed) => {
                let (numbers, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err("found packed numbers that end in the middle of one".into());
                }
                into.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
                Ok(())
            }
            Self::Fixed64(bits) => {
                into.push(f64::from_bits(bits));
                Ok(())
            }
            other => Err(format!("found {}, expected numbers of double precision", other.kind())),
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Varint(_) => "a whole number",
            Self::Fixed64(_) => "eight bytes",
            Self::Bytes(_) => "text or a message",
            Self::Fixed32(_) => "four bytes",
        }
    }
}

fn take<'a, const LENGTH: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; LENGTH], String> {
    let (first, others) = rest.split_first_chunk().ok_or("the file ends in the middle of a number")?;
    *rest = others;
    Ok(first)
}

/// A number in groups of seven bits, the last of which has no leading bit.
fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for group in 0..10 {
        let [byte] = *take::<1>(rest)?;
        value |= u64::from(byte & 0x7f) << (7 * group);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a whole number of more than ten bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's description: 150 in field 1, "testing" in field 2, and 3, 270, 86942 packed in field 6.
    #[test]
    fn fields_are_those_of_the_description() {
        let bytes = b"\x08\x96\x01\x12\x07testing\x32\x06\x03\x8e\x02\x9e\xa7\x05";
        let fields: Vec<_> = Fields::new(bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(fields[0], (1, Wire::Varint(150)));
        assert_eq!(fields[1].1.text().unwrap(), "testing");
        let mut ints = Vec::new();
        fields[2].1.ints(&mut ints).unwrap();
        assert_eq!(ints, [3, 270, 86942]);
        assert_eq!(Wire::Varint(u64::MAX).int().unwrap(), -1);
    }

    #[test]
    fn what_does_not_end_is_an_error_and_the_last() {
        for bytes in [&b"\x08"[..], b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x0b", &[0xff; 30], b"\x0d\x01\x02"]
        {
            let fields: Vec<_> = Fields::new(bytes).collect();
            assert!(fields.len() == 1 && fields[0].is_err(), "{bytes:?}");
        }
    }
}
