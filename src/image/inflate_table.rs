//! The tables that tell what the next bits of a DEFLATE stream mean.

/// Bits that index the first table; longer codes go on in a second one.
pub const LITERAL_BITS: u32 = 11;
pub const DISTANCE_BITS: u32 = 8;
/// Entries of both tables: no complete code of 286 symbols needs more than 2344, none of 32 more than 408 (counted over all of them).
pub type LiteralTable = [u32; 2400];
pub type DistanceTable = [u32; 416];
pub const LENGTH_CODE_BITS: u32 = 7;
pub type LengthCodeTable = [u32; 1 << LENGTH_CODE_BITS];

// An entry: what a code stands for, and how many bits it takes.
// Bits 0..8: bits to drop, code and extra bits together. Bits 8..13: those of the code alone.
// Bits 16..31: the literal, the smallest length or distance, or where the second table starts.
pub const LITERAL: u32 = 1 << 31;
/// Neither literal nor length: one of the following.
pub const EXCEPTION: u32 = 1 << 15;
/// Bits 8..13 are the number of bits that index the second table.
pub const SECOND: u32 = 1 << 14;
pub const END_OF_BLOCK: u32 = 1 << 13;
/// What no code stands for.
pub const INVALID: u32 = EXCEPTION;

/// What each symbol stands for; the two lengths are added by [`build`].
pub const LITERALS: [u32; 288] = literal_entries();
pub const DISTANCES: [u32; 32] = distance_entries();
pub const LENGTH_CODES: [u32; 19] = length_code_entries();

/// Fills a table, indexed by its first `bits` bits, for the codes that have these lengths; `symbols` says what each stands for.
///
/// # Errors
/// When there are too many codes for their lengths, or too few: but a single code of one bit is complete enough, and so is none at all.
pub fn build<const SIZE: usize>(table: &mut [u32; SIZE], bits: u32, lengths: &[u8], symbols: &[u32]) -> Result<(), &'static str> {
    let mut counts = [0_u16; 16];
    for &length in lengths {
        counts[usize::from(length & 15)] += 1;
    }
    let (mut starts, mut free) = ([0_u16; 17], 1_i32);
    for length in 1..16 {
        free = 2 * free - i32::from(counts[length]);
        if free < 0 {
            return Err("a block has too many codes of one length");
        }
        starts[length + 1] = starts[length] + counts[length];
    }
    let used = usize::from(starts[16]);
    let mut sorted = [0_u16; 288];
    for (symbol, &length) in lengths.iter().enumerate().filter(|(_, length)| **length != 0) {
        let place = &mut starts[usize::from(length & 15)];
        sorted[usize::from(*place)] = symbol as u16;
        *place += 1;
    }
    let mut rest = &sorted[..used];
    if free > 0 {
        table.fill(INVALID);
        if used != usize::from(counts[1]) {
            return Err("a block has too few codes");
        }
        if let Some(&symbol) = rest.first() {
            let even = table[..1 << bits].iter_mut().step_by(2);
            even.for_each(|place| *place = entry(symbols[usize::from(symbol)], 1));
        }
        return Ok(());
    }

    let mut code = 0;
    // Codes that fit are entered once, in the part that is filled; it doubles with each bit.
    for length in 1..=bits {
        let half = 1 << (length - 1);
        table.copy_within(..half, half);
        let (these, longer) = rest.split_at(usize::from(counts[length as usize]));
        for &symbol in these {
            table[code] = entry(symbols[usize::from(symbol)], length);
            code = next_code(code, length);
        }
        rest = longer;
    }
    // Longer ones go into second tables, one for each start that they share, as large as its longest code wants.
    let (mut second, mut start) = (1 << bits..1 << bits, usize::MAX);
    for length in bits + 1..16 {
        let (these, longer) = rest.split_at(usize::from(counts[length as usize]));
        for (index, &symbol) in these.iter().enumerate() {
            if code & ((1 << bits) - 1) != start {
                start = code & ((1 << bits) - 1);
                let mut second_bits = length - bits;
                let mut filled = these.len() - index;
                while filled < 1 << second_bits {
                    second_bits += 1;
                    filled = 2 * filled + usize::from(counts[(bits + second_bits) as usize]);
                }
                second = second.end..second.end + (1 << second_bits);
                table[start] = (second.start as u32) << 16 | EXCEPTION | SECOND | second_bits << 8 | bits;
            }
            for at in (second.start + (code >> bits)..second.end).step_by(1 << (length - bits)) {
                table[at] = entry(symbols[usize::from(symbol)], length - bits);
            }
            code = next_code(code, length);
        }
        rest = longer;
    }
    Ok(())
}

/// The symbol's entry for a code of this many bits.
fn entry(symbol: u32, length: u32) -> u32 {
    symbol + (length << 8 | length)
}

/// The code after this one, both with the first bit lowest. The last one's successor is itself.
fn next_code(code: usize, length: u32) -> usize {
    let free = !code & ((1 << length) - 1);
    if free == 0 {
        code
    } else {
        let bit = 1 << free.ilog2();
        code & (bit - 1) | bit
    }
}

/// Source: RFC 1951, section 3.2.5, the first table. Symbols 286 and 287 have codes and no meaning.
const fn literal_entries() -> [u32; 288] {
    let mut entries = [INVALID; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = LITERAL | (symbol as u32) << 16;
        symbol += 1;
    }
    entries[256] = EXCEPTION | END_OF_BLOCK;
    symbol = 257;
    let mut length = 3;
    while symbol < 285 {
        let extra = if symbol < 265 { 0 } else { (symbol as u32 - 261) / 4 };
        entries[symbol] = length << 16 | extra;
        length += 1 << extra;
        symbol += 1;
    }
    entries[285] = 258 << 16;
    entries
}

/// Source: RFC 1951, section 3.2.5, the second table. Symbols 30 and 31 have codes and no meaning.
const fn distance_entries() -> [u32; 32] {
    let mut entries = [INVALID; 32];
    let (mut symbol, mut distance) = (0, 1);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 };
        entries[symbol] = distance << 16 | extra;
        distance += 1 << extra;
        symbol += 1;
    }
    entries
}

const fn length_code_entries() -> [u32; 19] {
    let mut entries = [0; 19];
    let mut symbol = 0;
    while symbol < 19 {
        entries[symbol] = (symbol as u32) << 16;
        symbol += 1;
    }
    entries
}
