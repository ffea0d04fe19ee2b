//! Which statements a dialect has for the catalog. Their texts are in the dialects.

/// Declares the statements, and the macro that collects them from the constants of a dialect's module.
macro_rules! statements {
    ($($name:ident as $constant:ident),* $(,)?) => {
        /// The catalog's statements in one dialect, each by the name of its constant there.
        pub(crate) struct Statements {
            $(pub(crate) $name: &'static str,)*
            pub(crate) create: &'static [&'static str],
            pub(crate) upgrades: &'static [&'static [&'static str]],
        }

        /// The statements of the dialect's module that it stands in.
        macro_rules! collected {
            () => {
                $crate::catalog::Statements { $($name: $constant,)* create: CREATE, upgrades: UPGRADES }
            };
        }
    };
}

statements! {
    place as PLACE,
    own_tables as OWN_TABLES,
    version as VERSION,
    put_version as PUT_VERSION,
    set_version as SET_VERSION,
    manifest as MANIFEST,
    put_component as PUT_COMPONENT,
    chunks as CHUNKS,
    put_chunk as PUT_CHUNK,
    live as LIVE,
    lock_projection as LOCK_PROJECTION,
    put_projection as PUT_PROJECTION,
    schema_owner as SCHEMA_OWNER,
    set_live as SET_LIVE,
    delete_projection as DELETE_PROJECTION,
    object as OBJECT,
    view as VIEW,
    made_views as MADE_VIEWS,
    claim_view as CLAIM_VIEW,
    set_view as SET_VIEW,
    delete_views as DELETE_VIEWS,
    generations as GENERATIONS,
    generation as GENERATION,
    lock_generation as LOCK_GENERATION,
    last_number as LAST_NUMBER,
    put_generation as PUT_GENERATION,
    others as OTHERS,
    state as STATE,
    state_and_epoch as STATE_AND_EPOCH,
    set_state as SET_STATE,
    set_condition as SET_CONDITION,
    set_shards as SET_SHARDS,
    raise_epoch as RAISE_EPOCH,
    promote as PROMOTE,
    release as RELEASE,
    delete_lease as DELETE_LEASE,
    holds as HOLDS,
    move_hold as MOVE_HOLD,
    put_hold as PUT_HOLD,
    end_hold as END_HOLD,
    delete_hold as DELETE_HOLD,
    checkpoint as CHECKPOINT,
    checkpoints as CHECKPOINTS,
    move_checkpoint as MOVE_CHECKPOINT,
    lock_checkpoints as LOCK_CHECKPOINTS,
    put_checkpoint as PUT_CHECKPOINT,
    raise_checkpoint as RAISE_CHECKPOINT,
    raise_checkpoints as RAISE_CHECKPOINTS,
    delete_checkpoints as DELETE_CHECKPOINTS,
    dead_letters as DEAD_LETTERS,
    settle as SETTLE,
    delete_dead_letters as DELETE_DEAD_LETTERS,
    decisions as DECISIONS,
    decide as DECIDE,
}

pub(crate) use collected as collected_statements;
