//! The names of all texts.

use serde::Deserialize;

/// Makes the names and their list from one list.
macro_rules! texts {
    ($($name:ident)*) => {
        /// A text of the pages. Its words are in `data/`, under the name in snake case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Text { $($name),* }

        impl Text {
            /// All texts, in the order of their numbers.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

texts! {
    // Around every page
    SignOut
    Questions
    Request
    Reason
    MessageRefreshes
    YourApps
    // Titles of refusals
    Starting
    SignInUnavailable
    AppNotRunning
    AppNotReady
    ServerBusy
    TooManyRequests
    PageNotFound
    WrongAddress
    PleaseSignIn
    NeedsNewTab
    NoAccess
    NoAccessToPage
    FromAnotherSite
    NotInAdvance
    OwnPageOnly
    AppRespondsBadly
    AppTooSlow
    UploadTooLarge
    UploadStopped
    CookiesTooLarge
    SomethingWentWrong
    InvalidRequest
    // Why sign-in is not available
    NoCertificate
    IssuerWaitedFor
    IssuerSetup
    IssuerStarting
    IssuerRestarting
    IssuerNotRunning
    IssuerDown
    // Why an app does not answer
    AppWaits
    AppSetup
    AppStarting
    AppUnready
    AppRestarting
    AppStopping
    AppStopped
    AppIdle
    AppFailed
    AppUnreachable
    AppSilent
    // Why a request is refused
    ManyConnections
    ManyRequests
    CheckAddress
    NoAppAtHost
    OtherServerName
    SessionEnded
    Framed
    WindowOpens
    Denied
    DeniedPage
    InAdvance
    CrossSite
    Shielded
    BodyTooLarge
    BodyTimeout
    Cookies
    Bug
    Malformed
    MethodNotAllowed
    FilesAreRead
    TransferCoding
    Expectation
    HeadersTooLarge
    TooManyHeaders
    TargetTooLong
    WebsocketVersion
    // Parts of a path that servers read in different ways
    PathMustBeEscaped
    PathByte
    PathBackslash
    PathControl
    PathPercent
    PathEscapes
    PathDots
    PathDisplaced
    PathSemicolon
    PathEscapedSemicolon
    PathEscapedSlash
    PathEmptySegment
    PathRaw
    // What a person lacks; for the places {what} and {who}
    LackGroup
    LackGroups
    LackRole
    LackRoles
    LackEmail
    LackDomain
    LackDomains
    LackClaim
    LackEither
    LackExcluded
    LackOperator
    LackLost
    // Buttons of refusals
    SignInOtherwise
    OpenNewTab
    DeleteCookies
    // Sign-in and sign-out
    SignIn
    SignInToOpen
    SignInTo
    YouAreSignedIn
    WindowCloses
    SignInAgain
    SignOutQuestion
    SignOutPending
    SignedOut
    SignedOutHere
    NotYet
    ProviderSilent
    PleaseWait
    ManySignIn
    CannotChange
    ManagedElsewhere
    UnknownChange
    SignInFailed
    SignInDeclined
    ProviderSays
    AnswerRepeats
    AnswerFromAnother
    AnswerUnsigned
    AnswerWithoutCode
    AnswerUntrusted
    BegunElsewhere
    ServerUnknown
    EmailUnverified
    VerifyEmail
    NoLongerAccepted
    ContinueQuestion
    ContinueAs
    StayAs
    AnotherPerson
    // Portal
    NoApps
    YourGroups
    YourGroupsAndMore
    YourAccount
    WhereSignedIn
    ChangePassword
    SetUpTotp
    ForOperators
    Console
    WhyNot
    EverybodysSessions
    ForAdministrators
    PeopleAndGroups
    // States of apps and of the sign-in service
    StateWaiting
    StateSetup
    StateStarting
    StateReady
    StateUnready
    StateBackoff
    StateStopping
    StateStopped
    StateFailed
    StateAsleep
    StateUp
    StateDown
    // Sessions
    Sessions
    YourSessions
    AllSessionsExplained
    OwnSessionsExplained
    Person
    SignedIn
    LastUsed
    Browser
    BrowserOn
    Address
    OpenConnections
    ThisSession
    End
    EndOthers
    MoreSessions
    // Console
    AllApps
    ThereAreNoApps
    RunsElsewhere
    App
    State
    People
    Memory
    Processor
    Restarts
    LastExit
    ExitCode
    NextRun
    ForTime
    ForTimeSince
    Since
    Start
    Stop
    Restart
    Log
    LogEmpty
    WhoMayOpen
    OpenTo
    ShutTo
    RuleOpenTo
    Anybody
    EverybodySignedIn
    PeopleWhoMeet
    RefusedLately
    NobodyRefused
    TimeUtc
    Path
    ReasonColumn
    RequestColumn
    // First administrator
    LinkNotValid
    NoAdminLink
    CreateAdministrator
    AdministratorIntro
    UserName
    FirstName
    LastName
    Email
    Password
    PasswordAgain
    CreateAccount
    LinkInUse
    AccountNotCreated
    KeycloakRefuses
    FillAll
    ValueTooLong
    PasswordsDiffer
}
