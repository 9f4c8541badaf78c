//! The instructions.

/// Steps in the order of the bytes. A tree of blocks instead of a list with jumps: a block is walked as a slice, so no step
/// looks its successor up.
pub(super) type Block = Box<[Step]>;

/// An instruction, for one value or for several alike that follow each other.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) op: Op,
    /// How many values. 1 for all but the leaves.
    pub(super) times: u32,
    /// Index of the (first) value's path; those of the others follow.
    pub(super) field: u32,
}

/// What to do with a value. Union branches are given as the byte that encodes them: for the first 64, it is one.
#[derive(Debug)]
pub(super) enum Op {
    /// Pass so many bytes.
    Fixed(usize),
    Boolean,
    Int,
    Long,
    /// A symbol below this number.
    Enum(usize),
    /// A length and so many bytes.
    Bytes,
    /// A union of null and bytes or string, which most fields are.
    Optional {
        null: u8,
        value: u8,
    },
    /// The same, blanked.
    BlankOptional {
        null: u8,
        value: u8,
    },
    /// One of these.
    Union(Box<[Block]>),
    /// The same, blanked.
    BlankUnion {
        null: u8,
        branches: Box<[Block]>,
    },
    /// An array, or a map, whose `element` then begins with the key.
    Blocks {
        element: Block,
        /// Whether something in the element may be blanked, so that the size of a block may change.
        changes: bool,
    },
    /// A record that is used more than once.
    Routine(usize),
}

impl Op {
    /// Whether this and `other` are the same op and say all about a value, so that in sequence they are one step.
    pub(super) fn same_leaf(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Boolean, Self::Boolean)
            | (Self::Int, Self::Int)
            | (Self::Long, Self::Long)
            | (Self::Bytes, Self::Bytes) => true,
            (Self::Enum(a), Self::Enum(b)) => a == b,
            (Self::Optional { null, value }, Self::Optional { null: other_null, value: other_value })
            | (Self::BlankOptional { null, value }, Self::BlankOptional { null: other_null, value: other_value }) => {
                null == other_null && value == other_value
            }
            _ => false,
        }
    }
}
