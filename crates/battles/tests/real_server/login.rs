//! Names on a server that asks for proof of them.

use interlock_battles::io::{
    Account, Client, ConnectError, LoginError, Password, local::LocalServer,
};
use tokio::net::TcpListener;

use super::support::package;

/// A login service, and a server that trusts it alone. `Ann` is registered.
const SERVICE: &str = include_str!("login_service.js");

/// The server, and the address of the service.
async fn secure() -> (LocalServer, String) {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let script = SERVICE.replace("PORT", &port.to_string());
    let server = LocalServer::start_with(&package(), &script).await.unwrap();
    (server, format!("http://127.0.0.1:{port}/api/login"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_proven_by_its_password_or_by_being_nobodys() {
    let (server, login_url) = secure().await;
    let unregistered =
        |name: &str| Account::Unregistered { name: name.to_owned(), login_url: login_url.clone() };
    let registered = |password| Account::Registered {
        name: "Ann".to_owned(),
        password: Password::new(password),
        login_url: login_url.clone(),
    };
    let enter = async |account: Account| Client::connect(server.url(), &account).await;
    let (bob, _events) = enter(unregistered("Bob")).await.unwrap();
    assert_eq!(bob.name(), "Bob");
    let (ann, _events) = enter(registered("secret")).await.unwrap();
    assert_eq!(ann.name(), "Ann");
    let (guest, _events) = enter(Account::Guest).await.unwrap();
    assert!(guest.name().starts_with("Guest "), "{}", guest.name());

    let Err(ConnectError::Login(LoginError::Refused(reason))) = enter(unregistered("Ann")).await
    else {
        panic!("somebody's name needs its password")
    };
    assert_eq!(reason, "the name is registered, and needs its password");
    let Err(ConnectError::Login(LoginError::Refused(_))) = enter(registered("guess")).await else {
        panic!("not with any password")
    };
}
