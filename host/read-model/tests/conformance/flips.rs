//! What is live: the pointer, the views, and readers that hold on to what was.

use std::sync::Arc;

use reel_projector::Value;
use reel_read_model::{CatalogError, FlipOutcome, Generation, GenerationState, IfBehind, Pointer, Target, TargetKind};
use serde_json::json;
use uuid::Uuid;

use crate::place::{Place, sql_at};
use crate::samples::{all, deploy, int, make_ready, named, note, notes, point, text, upsert, values};

async fn ready(target: &dyn Target) -> Generation {
    let generation = deploy(target, &notes()).await;
    make_ready(target, &generation).await;
    generation
}

pub(crate) async fn behind_flipped_already_and_back(place: Arc<Place>) {
    let target = place.target.as_ref();
    let building = deploy(target, &notes()).await;
    let error = target.flip(building.id, IfBehind::Refuse).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict { .. }), "{error}");

    let (first, second) = (ready(target).await, ready(target).await);
    assert_eq!(target.flip(first.id, IfBehind::Refuse).await.unwrap(), FlipOutcome::Flipped);
    assert_eq!(target.flip(first.id, IfBehind::Refuse).await.unwrap(), FlipOutcome::AlreadyLive);
    upsert(target, &first, 0, vec![note(1, "first")]).await;
    let behind = FlipOutcome::Behind { shard: 0, at: point(0), live: point(1) };
    assert_eq!(target.flip(second.id, IfBehind::Refuse).await.unwrap(), behind);
    assert_eq!(target.live("notes").await.unwrap().unwrap().id, first.id);
    upsert(target, &second, 0, vec![note(1, "second")]).await;
    assert_eq!(target.flip(second.id, IfBehind::Refuse).await.unwrap(), FlipOutcome::Flipped);

    let state = async |id| target.generations().await.unwrap().into_iter().find(|one| one.id == id).unwrap().state;
    assert_eq!(state(first.id).await, GenerationState::Previous);
    assert_eq!(state(second.id).await, GenerationState::Live);
    upsert(target, &second, 0, vec![note(2, "second")]).await;
    assert!(matches!(target.flip(first.id, IfBehind::Refuse).await.unwrap(), FlipOutcome::Behind { .. }));
    assert_eq!(target.flip(first.id, IfBehind::Force).await.unwrap(), FlipOutcome::Flipped);
    assert_eq!(state(first.id).await, GenerationState::Live);
    assert_eq!(state(second.id).await, GenerationState::Previous);
}

pub(crate) async fn views_show_what_is_live(place: Arc<Place>) {
    let target = place.target.as_ref();
    let first = deploy(target, &named(values(), "shop")).await;
    make_ready(target, &first).await;
    let mut row = vec![Value::Null; 16];
    row[0] = int(7);
    row[6] = Value::Decimal(rust_decimal::Decimal::new(-1250, 2));
    row[12] = Value::Uuid(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
    row[13] = Value::Date(-719_162);
    row[14] = Value::Time(3_600_000_001);
    row[15] = Value::Timestamp(-1);
    upsert(target, &first, 0, vec![row.into()]).await;
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    let view = place.view("shop", "values");
    people_can_read(&place, &view).await;

    // Another shape: one view with other columns, one more.
    let other = deploy(target, &{
        let mut other = named(notes(), "shop");
        other["tables"][0]["name"] = json!("values");
        other
    })
    .await;
    make_ready(target, &other).await;
    upsert(target, &other, 0, vec![note(1, "other")]).await;
    let user = make_user(&place, &view).await;
    target.flip(other.id, IfBehind::Refuse).await.unwrap();
    let look = format!("SELECT text FROM {view}");
    assert_eq!(place.sql(&look).await.unwrap(), [Some("other".to_owned())]);
    place.sql(&format!("SELECT rank FROM {}", place.view("shop", "order"))).await.unwrap();
    if let Some(user) = user {
        let read = sql_at(&place.url_of(&user.login), &look).await;
        match user.rights {
            Rights::Listed => assert_eq!(read.unwrap(), [Some("other".to_owned())], "the right outlives the flip"),
            Rights::Hidden => println!("passed over: this server does not say who has which right"),
        }
        place.sql(&user.gone).await.unwrap();
    }
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    assert_eq!(place.sql(&format!("SELECT id FROM {view}")).await.unwrap(), [Some("7".to_owned())]);
    place.sql(&format!("SELECT rank FROM {}", place.view("shop", "order"))).await.unwrap_err();
}

async fn people_can_read(place: &Place, view: &str) {
    let shown =
        async |column: &str| place.sql(&format!("SELECT {column} FROM {view}")).await.unwrap()[0].clone().unwrap();
    let [uuid, date, time, moment] = match place.kind() {
        TargetKind::Sqlite => ["uuid", "date", "time", "timestamp"],
        TargetKind::Postgres => {
            ["uuid", "date", "time", "to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"]
        }
        TargetKind::MySql => ["uuid", "date", "time", "date_format(timestamp, '%Y-%m-%dT%H:%i:%s.%fZ')"],
        TargetKind::SqlServer => [
            "lower(CAST(uuid AS nvarchar(36)))",
            "CAST(date AS nvarchar(10))",
            "CAST(time AS nvarchar(15))",
            "concat(replace(convert(nvarchar(26), timestamp, 121), N' ', N'T'), N'Z')",
        ],
    };
    assert!(["-12.5", "-12.50"].contains(&shown("money").await.as_str()));
    assert_eq!(shown(uuid).await, "01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(shown(date).await, "0001-01-01");
    assert_eq!(shown(time).await, "01:00:00.000001");
    assert_eq!(shown(moment).await, "1969-12-31T23:59:59.999999Z");
}

/// Somebody who may read one view.
struct User {
    login: String,
    rights: Rights,
    /// What ends it.
    gone: String,
}

/// Whether a server says who has which right.
enum Rights {
    Listed,
    Hidden,
}

async fn make_user(place: &Place, view: &str) -> Option<User> {
    let role = place.role();
    let mut user = User { login: role.clone(), rights: Rights::Listed, gone: String::new() };
    match place.kind() {
        TargetKind::Sqlite => return None,
        TargetKind::Postgres => {
            let grant = format!(
                "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA shop TO {role}; GRANT SELECT ON {view} TO {role}"
            );
            place.sql(&grant).await.unwrap();
            user.gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
        }
        TargetKind::MySql => {
            // A server may know an anonymous local user, who would come first.
            for role in [format!("{role}@localhost"), format!("{role}@'%'")] {
                let grant = format!("CREATE USER {role}; GRANT SELECT ON {view} TO {role}");
                place.sql(&grant).await.unwrap();
            }
            user.gone = format!("DROP USER {role}@localhost, {role}@'%'");
        }
        TargetKind::SqlServer => {
            let login =
                format!("CREATE LOGIN {role} WITH PASSWORD = 'A-long-1-word'; CREATE USER {role} FOR LOGIN {role}");
            place.sql(&format!("{login}; GRANT SELECT ON {view} TO {role}")).await.unwrap();
            let listed = "SELECT count(*) FROM sys.database_permissions WHERE class = 1";
            if place.sql(listed).await.unwrap() == [Some("0".to_owned())] {
                user.rights = Rights::Hidden;
            }
            user.login.push_str(":A-long-1-word");
            user.gone = format!("DROP USER {role}; DROP LOGIN {role}");
        }
    }
    Some(user)
}

pub(crate) async fn readers_of_the_old_one_are_told(place: Arc<Place>) {
    let target = place.target.as_ref();
    let (first, second) = (ready(target).await, ready(target).await);
    let query = all(&first, 0);
    let error = target.query(&first, Pointer::Live, &query).await.unwrap_err();
    assert!(matches!(error, CatalogError::Moved), "{error}");
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    target.query(&first, Pointer::Live, &query).await.unwrap();
    target.flip(second.id, IfBehind::Refuse).await.unwrap();
    let error = target.query(&first, Pointer::Live, &query).await.unwrap_err();
    assert!(matches!(error, CatalogError::Moved), "{error}");
    target.query(&first, Pointer::Fixed, &query).await.unwrap();
    target.drop_generation(first.id, reel_read_model::DropScope::Generation).await.unwrap();
    let error = target.query(&first, Pointer::Fixed, &query).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
}

pub(crate) async fn a_view_of_ones_own_in_the_way(place: Arc<Place>) {
    let target = place.target.as_ref();
    let first = deploy(target, &named(values(), "shop")).await;
    make_ready(target, &first).await;
    target.flip(first.id, IfBehind::Refuse).await.unwrap();
    let mine = place.view("shop", "pairs");
    place.sql(&format!("CREATE VIEW {mine} AS SELECT id FROM {}", place.view("shop", "values"))).await.unwrap();
    let error = target.create_generation(crate::samples::new_generation(&named(notes(), "shop"), 1)).await.unwrap_err();
    assert!(matches!(error, CatalogError::NotFound(_)), "{error}");
    let error = crate::samples::try_deploy(target, &named(notes(), "shop")).await.unwrap_err();
    assert!(matches!(error, CatalogError::NameTaken { .. }), "{error}");

    if place.kind() != TargetKind::Postgres {
        return; // The others' views do not hold on to what they read from.
    }
    place.sql("ALTER VIEW shop.pairs RENAME TO mine").await.unwrap();
    let other = deploy(target, &named(notes(), "shop")).await;
    make_ready(target, &other).await;
    let error = target.flip(other.id, IfBehind::Refuse).await.unwrap_err().to_string();
    assert!(error.contains("shop.mine"), "{error}");
    assert_eq!(target.live("shop").await.unwrap().unwrap().id, first.id);
    upsert(target, &other, 1, vec![[text("k"), Value::Null, int(1), text("g"), Value::Boolean(true)].into()]).await;
    place.sql("DROP VIEW shop.mine").await.unwrap();
    target.flip(other.id, IfBehind::Refuse).await.unwrap();
}
