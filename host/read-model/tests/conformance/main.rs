//! The one conformance suite of read databases: every case runs on every adapter, each time on a database of its own.
//!
//! SQLite always runs. PostgreSQL, MySQL (MariaDB) and SQL Server run where `REEL_TEST_POSTGRES`, `REEL_TEST_MYSQL` and
//! `REEL_TEST_SQLSERVER` give a server, and must where `REEL_TEST_REQUIRE` names it.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]
#![expect(clippy::print_stdout, reason = "a case that is passed over says so")]

mod catalog;
mod flips;
mod killed;
mod loads;
mod mends;
mod merges;
mod place;
mod queries;
mod samples;
mod shards;
mod snapshots;
mod tds;
mod troubled;
mod values;
mod wide;
mod writes;

macro_rules! on_every_adapter {
    ($($module:ident: $($case:ident),+;)+) => {
        mod sqlite {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_sqlite(crate::$module::$case).await;
            })+)+
        }
        mod mysql {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_mysql(crate::$module::$case).await;
            })+)+
        }
        mod postgres {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_postgres(crate::$module::$case).await;
            })+)+
        }
        mod sql_server {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_sql_server(crate::$module::$case).await;
            })+)+
        }
    };
}

on_every_adapter! {
    values: every_edge_round_trips, long_lists_find_every_edge, long_lists_of_texts_that_need_escapes, names_that_sql_reserves, long_values;
    writes: lists_apply_in_order, a_row_is_replaced_whole, rows_that_are_taken_for_new_ones, tables_of_keys_only, deletes_by_null,
        a_wrong_checkpoint_writes_nothing, an_older_epoch_writes_nothing, dead_letters_come_and_go, many_rows_in_one_commit;
    merges: two_shards_add_to_the_same_rows;
    loads: every_row_arrives, every_edge_is_loaded, it_ends_in_one_step, one_that_is_given_up_leaves_nothing,
        who_lost_the_generation_fills_nothing;
    catalog: components_are_kept_once, generations_live_on_after_a_restart, states_and_conditions, two_names_for_one_schema,
        names_that_are_somebody_elses, decisions_are_kept, a_newer_catalog_is_refused, an_older_catalog_is_brought_up_to_date, several_open_at_once,
        a_generation_needs_its_component, what_is_dropped_is_gone, a_projection_goes_whole, a_database_that_is_not_there;
    shards: one_shard_changes_hands, a_new_layout_in_one_step, a_layout_that_cannot_change, leases_exclude_and_run_out, holds_exclude_and_move;
    flips: behind_flipped_already_and_back, views_show_what_is_live, readers_of_the_old_one_are_told, a_view_of_ones_own_in_the_way;
    queries: filters_orders_and_limits_are_as_in_memory, like_is_the_same_everywhere, a_long_answer_comes_in_pieces,
        an_answer_nobody_reads;
    snapshots: all_rows_of_one_moment, keys_of_every_type_in_pieces;
    wide: as_many_columns_as_may_be, rows_longer_than_a_page;
}

macro_rules! on_every_server {
    ($($module:ident: $($case:ident),+;)+) => {
        mod mysql_server {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_mysql(crate::$module::$case).await;
            })+)+
        }
        mod postgres_server {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_postgres(crate::$module::$case).await;
            })+)+
        }
        mod sql_server_server {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_sql_server(crate::$module::$case).await;
            })+)+
        }
    };
}

on_every_server! {
    killed: a_commit_leaves_nothing_and_is_done_again, a_load_leaves_nothing_and_begins_again, idle_sessions_are_replaced;
    troubled: what_cannot_be_written_now_is_written_later;
}

/// Cases of one adapter's own.
mod only_mysql {
    macro_rules! cases {
        ($($module:ident: $($case:ident),+;)+) => {$($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::place::on_mysql(crate::$module::$case).await;
            }
        )+)+};
    }

    cases! {
        mends: views_that_ran_ahead_of_the_pointer, leftovers_go_and_nothing_else, who_holds_a_view_delays_the_flip_alone,
            who_holds_a_row_delays_nobody_who_deletes_another, an_upgrade_that_was_interrupted_goes_on;
    }
}
