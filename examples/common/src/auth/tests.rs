//! Accounts on SQLite in memory.

use super::*;

async fn auth_with(settings: Settings) -> Auth {
    let database = Database::in_memory().await.unwrap();
    database.migrate(Auth::MIGRATIONS).await.unwrap();
    Auth::new(settings, database, Bus::memory())
}

async fn auth() -> Auth {
    auth_with(Settings { refresh_leeway: Duration::ZERO, ..Settings::dev("test") }).await
}

fn alice() -> NewUser {
    let (username, password) = ("alice".to_owned(), "correct horse".to_owned());
    NewUser { username, password, ..NewUser::default() }
}

#[tokio::test]
async fn an_account_is_made_once_and_gives_sessions() {
    let auth = auth().await;
    let user = auth.signup(alice()).await.unwrap();
    let again = NewUser { username: "ALICE".into(), ..alice() };
    assert!(matches!(auth.signup(again).await, Err(AuthError::Taken)));
    let session = auth.login(" Alice ", "correct horse").await.unwrap();
    let identity = auth.verify(&session.access).unwrap();
    assert_eq!((identity.user_id, identity.username.as_str()), (user.user_id, "alice"));
    for (name, password) in [("alice", "wrong horse"), ("nobody", "correct horse")] {
        let refused = auth.login(name, password).await;
        assert!(matches!(refused, Err(AuthError::WrongPassword)), "{refused:?}");
    }
    assert_eq!(auth.user(UserKey::Username("Alice")).await.unwrap(), Some(user.clone()));
    assert_eq!(auth.user(UserKey::Email("a@b.c")).await.unwrap(), None);
    assert_eq!(auth.users("", 10).await.unwrap(), [user]);
}

/// It was: whoever came with another name was told that the name is taken.
#[tokio::test]
async fn an_address_has_one_account() {
    let auth = auth().await;
    let called = |username: &str, email: &str| {
        let (username, email) = (username.to_owned(), Some(email.to_owned()));
        auth.signup(NewUser { username, email, ..alice() })
    };
    called("alice", "a@b.c").await.unwrap();
    assert!(matches!(called("bob", "A@b.c").await, Err(AuthError::EmailTaken)));
    assert!(matches!(called("alice", "a@b.c").await, Err(AuthError::Taken)));
    called("bob", "bob@b.c").await.unwrap();
}

#[tokio::test]
async fn impossible_names_and_passwords_are_refused() {
    let auth = auth().await;
    let check = async |username: &str, password: &str, taken: bool| {
        let new = NewUser { username: username.into(), password: password.into(), ..alice() };
        match auth.signup(new).await {
            Err(AuthError::Taken) if taken => {}
            Err(AuthError::Invalid(_)) if !taken => {}
            other => panic!("{username:?}: {other:?}"),
        }
    };
    check("", "long enough", false).await;
    check("a b", "long enough", false).await;
    check("<b>", "long enough", false).await;
    check("bob", "short", false).await;
    check("bob", &"x".repeat(257), false).await;
    check("SuperChat", "long enough", true).await;
    check("ＳuperChat", "long enough", true).await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_family() {
    let auth = auth().await;
    let mut ended = auth.endings();
    auth.signup(alice()).await.unwrap();
    let first = auth.login("alice", "correct horse").await.unwrap();
    let other = auth.login("alice", "correct horse").await.unwrap();
    let second = auth.refresh(&first.refresh).await.unwrap();
    let third = auth.refresh(&second.refresh).await.unwrap();
    let identity = auth.verify(&third.access).unwrap();
    auth.ticket(&identity).await.unwrap();
    assert!(matches!(auth.refresh(&first.refresh).await, Err(AuthError::Replayed)));
    assert!(matches!(auth.refresh(&third.refresh).await, Err(AuthError::NotLoggedIn)));
    assert_eq!(ended.next().await, [identity.session].into());
    // An access token that is still good opens no sockets, and keeps none open.
    assert!(matches!(auth.ticket(&identity).await, Err(AuthError::NotLoggedIn)));
    assert!(auth.renew(&identity, &third.access).await.is_err());
    auth.refresh(&other.refresh).await.unwrap();
    assert!(matches!(auth.refresh("made up").await, Err(AuthError::NotLoggedIn)));
}

/// An instance was killed after it had used the token up and before it said so.
#[tokio::test]
async fn an_answer_that_was_lost_logs_nobody_out() {
    let auth = auth().await;
    auth.signup(alice()).await.unwrap();
    let first = auth.login("alice", "correct horse").await.unwrap();
    let lost = auth.refresh(&first.refresh).await.unwrap();
    let lost_too = auth.refresh(&first.refresh).await.unwrap();
    let third = auth.refresh(&first.refresh).await.unwrap();
    let fourth = auth.refresh(&third.refresh).await.unwrap();
    // Whoever comes with the answer after all is a second holder.
    assert!(matches!(auth.refresh(&lost.refresh).await, Err(AuthError::Replayed)));
    assert!(auth.refresh(&lost_too.refresh).await.is_err());
    assert!(auth.refresh(&fourth.refresh).await.is_err());
}

#[tokio::test]
async fn sessions_that_ended_are_heard_of_without_the_bus() {
    let auth = auth().await;
    let elsewhere = Auth::new(Settings::dev("test"), auth.0.database.clone(), Bus::memory());
    let mut ended = elsewhere.endings();
    auth.signup(alice()).await.unwrap();
    let session = auth.login("alice", "correct horse").await.unwrap();
    let identity = auth.verify(&session.access).unwrap();
    auth.logout(&session.refresh).await.unwrap();
    assert_eq!(ended.next().await, [identity.session].into());
}

/// An access token outlives its session by minutes. It was asked for nowhere but at tickets.
#[tokio::test]
async fn a_token_of_a_session_that_ended_is_refused_wherever_that_is_heard() {
    let auth = auth().await;
    let elsewhere = Auth::new(Settings::dev("test"), auth.0.database.clone(), Bus::memory());
    auth.signup(alice()).await.unwrap();
    let session = auth.login("alice", "correct horse").await.unwrap();
    let ticket = auth.ticket(&auth.verify(&session.access).unwrap()).await.unwrap();
    let identity = elsewhere.verify(&session.access).unwrap();
    elsewhere.goes_on(&identity).await.unwrap();
    auth.logout_everywhere(session.user.user_id).await.unwrap();
    assert!(auth.verify(&session.access).is_err(), "it was ended here");
    assert!(elsewhere.goes_on(&identity).await.is_err(), "the database is asked");
    elsewhere.verify(&session.access).unwrap();
    elsewhere.endings().next().await;
    assert!(elsewhere.verify(&session.access).is_err());
    assert!(elsewhere.redeem(&ticket).await.is_err(), "of the same session");
}

/// A minute was looked back: who was let in while the database was away stayed.
#[tokio::test]
async fn an_end_is_told_as_long_as_a_token_of_the_session_may_be_good() {
    let auth = auth().await;
    auth.signup(alice()).await.unwrap();
    let session = auth.login("alice", "correct horse").await.unwrap();
    let identity = auth.verify(&session.access).unwrap();
    let ended_at = refresh::now_ms() - 14 * 60_000;
    crate::on!(&auth.0.database, pool => {
        let update = sqlx::query("UPDATE sessions SET ended_at = $1").bind(ended_at);
        update.execute(pool).await.unwrap();
    });
    assert_eq!(auth.endings().next().await, [identity.session].into());
}

#[tokio::test]
async fn a_session_without_a_database_is_taken_to_go_on() {
    let auth =
        Auth::new(Settings::dev("test"), Database::in_memory().await.unwrap(), Bus::memory());
    let (user_id, session) = (Uuid::now_v7(), Uuid::now_v7());
    let identity = Identity { user_id, username: "alice".into(), session, expires_at: u64::MAX };
    auth.ticket(&identity).await.unwrap();
}

#[tokio::test]
async fn what_expired_is_deleted_whoever_comes_next() {
    let short = Settings { refresh_lifetime: Duration::ZERO, ..Settings::dev("test") };
    let auth = auth_with(short).await;
    auth.signup(alice()).await.unwrap();
    auth.signup(NewUser { username: "bob".into(), ..alice() }).await.unwrap();
    auth.login("alice", "correct horse").await.unwrap();
    let count = async |table: &str| {
        let select = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let (count,): (i64,) = crate::on!(&auth.0.database, pool => {
            sqlx::query_as(select).fetch_one(pool).await.unwrap()
        });
        count
    };
    auth.login("bob", "correct horse").await.unwrap();
    assert!(count("refresh_tokens").await <= 1 && count("sessions").await <= 1);
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_stay_logged_in() {
    let auth = auth_with(Settings::dev("test")).await;
    auth.signup(alice()).await.unwrap();
    let first = auth.login("alice", "correct horse").await.unwrap();
    let second = auth.refresh(&first.refresh).await.unwrap();
    assert!(matches!(auth.refresh(&first.refresh).await, Err(AuthError::Refreshing)));
    auth.refresh(&second.refresh).await.unwrap();
}

#[tokio::test]
async fn to_log_out_ends_one_session_or_all() {
    let auth = auth().await;
    auth.signup(alice()).await.unwrap();
    let one = auth.login("alice", "correct horse").await.unwrap();
    let two = auth.login("alice", "correct horse").await.unwrap();
    let mut ended = auth.endings();
    let session = auth.verify(&one.access).unwrap().session;
    auth.logout(&one.refresh).await.unwrap();
    assert!(auth.refresh(&one.refresh).await.is_err());
    assert_eq!(ended.next().await, [session].into());
    let two = auth.refresh(&two.refresh).await.unwrap();
    auth.logout_everywhere(two.user.user_id).await.unwrap();
    assert!(auth.refresh(&two.refresh).await.is_err());
}

#[tokio::test]
async fn a_forged_algorithm_is_refused() {
    let auth = auth().await;
    auth.signup(alice()).await.unwrap();
    let access = auth.login("alice", "correct horse").await.unwrap().access;
    let [_, claims, signature] = access.split('.').collect::<Vec<_>>()[..] else { panic!() };
    // {"typ":"JWT","alg":"none"} and {"typ":"JWT","alg":"HS512"}
    let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";
    let other = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9";
    for forged in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{other}.{claims}.{signature}"),
        access.replace(claims, &claims.to_uppercase()),
        String::new(),
    ] {
        assert!(auth.verify(&forged).is_err(), "{forged}");
    }
    let elsewhere = auth_with(Settings::dev("another secret")).await;
    assert!(elsewhere.verify(&access).is_err());
    let issuer = Settings { issuer: "somebody".into(), ..Settings::dev("test") };
    assert!(auth_with(issuer).await.verify(&access).is_err());
    let ended = Settings { access_lifetime: Duration::ZERO, ..Settings::dev("test") };
    let ended = auth_with(ended).await;
    ended.signup(alice()).await.unwrap();
    let access = ended.login("alice", "correct horse").await.unwrap().access;
    assert!(ended.verify(&access).is_err());
}

#[tokio::test]
async fn a_ticket_opens_one_socket_and_is_no_access_token() {
    let auth = auth().await;
    auth.signup(alice()).await.unwrap();
    let access = auth.login("alice", "correct horse").await.unwrap().access;
    let identity = auth.verify(&access).unwrap();
    let ticket = auth.ticket(&identity).await.unwrap();
    assert!(auth.verify(&ticket).is_err());
    assert!(auth.redeem(&access).await.is_err());
    assert_eq!(auth.redeem(&ticket).await.unwrap(), identity);
    assert!(auth.redeem(&ticket).await.is_err());
}

#[tokio::test]
async fn attempts_are_limited_by_address_and_by_user() {
    let auth = auth().await;
    // Another instance: they count together.
    let other = Auth::new(Settings::dev("test"), auth.0.database.clone(), auth.0.bus.clone());
    let (one, two) = (&auth.0.limits, &other.0.limits);
    let from = |last| IpAddr::from([10, 0, 0, last]);
    for attempt in 0..5 {
        let limits = if attempt % 2 == 0 { one } else { two };
        limits.login(from(attempt), "alice").await.unwrap();
    }
    let refused = one.login(from(9), " ALICE").await;
    assert!(matches!(refused, Err(AuthError::TooMany(wait)) if wait <= Duration::from_secs(60)));
    two.login(from(9), "bob").await.unwrap();
    for last in 0..5 {
        one.signup(IpAddr::from([0x2001, 0xdb8, 1, 2, 3, 4, 5, last])).await.unwrap();
    }
    assert!(two.signup(IpAddr::from([0x2001, 0xdb8, 1, 2, 7, 7, 7, 7])).await.is_err());
    one.signup(IpAddr::from([0x2001, 0xdb8, 1, 3, 3, 4, 5, 6])).await.unwrap();
}

/// A name that is taken, or a password that is too short, is no reason to lock somebody out.
#[tokio::test]
async fn only_accounts_that_are_made_count() {
    let auth = auth().await;
    let from = IpAddr::from([10, 0, 0, 1]);
    auth.signup_from(from, alice()).await.unwrap();
    for _ in 0..20 {
        assert!(matches!(auth.signup_from(from, alice()).await, Err(AuthError::Taken)));
        let short = NewUser { username: "bob".into(), password: "short".into(), ..alice() };
        assert!(matches!(auth.signup_from(from, short).await, Err(AuthError::Invalid(_))));
    }
    for name in ["b", "c", "d", "e"] {
        let new = NewUser { username: name.into(), ..alice() };
        auth.signup_from(from, new).await.unwrap();
    }
    let sixth = NewUser { username: "f".into(), ..alice() };
    assert!(matches!(auth.signup_from(from, sixth).await, Err(AuthError::TooMany(_))));
}

#[tokio::test]
async fn passwords_are_computed_two_at_a_time_and_not_without_end() {
    let passwords = password::Passwords::new();
    let attempts = (0..80).map(|_| passwords.verify("x", Some("no hash")));
    let mut attempts = futures_util::future::join_all(attempts);
    // None ends before the last has begun.
    let turns = passwords.take_turns();
    assert!(futures_util::poll!(&mut attempts).is_pending());
    drop(turns);
    let outcomes = attempts.await;
    let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert_eq!(refused, 80 - 66);
}

#[test]
fn the_samples_secret_is_refused_unless_in_dev_mode() {
    let read = |flags: &[&str]| {
        let flags = flags.iter().map(|&flag| flag.to_owned());
        let mut config = Config::from_arguments(flags).unwrap();
        let settings = Settings::read(&mut config);
        assert!(format!("{settings:?}").contains("secret: \"(hidden)\""));
        config.finish().is_ok()
    };
    assert!(!read(&[]));
    assert!(read(&["--dev-mode=true"]));
    assert!(read(&["--jwt-secret=0123456789abcdef0123456789abcdef"]));
}
