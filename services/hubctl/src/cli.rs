//! The grammar of the command line. Its help is the operators' manual.

mod audit;
mod credential;
mod disclosures;
mod erase;
mod keys;
mod restriction;

use std::path::PathBuf;

use authority_api::types::Manager;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use jointuse::{CompanyId, CorporateNumber, ItemId, Login, OperatorName, PurposeId, TopicName};
use policy::Action;

pub(crate) use audit::{AuditCommand, AuditLedger, AuditVerify, CosignerCommand};
pub(crate) use credential::{CredentialCommand, MechanismArg};
pub(crate) use disclosures::DisclosuresArgs;
pub(crate) use erase::{EraseArgs, ErasureCommand};
pub(crate) use keys::{KeysCommand, KeysFrom};
pub(crate) use restriction::RestrictionCommand;

/// Decide who shares what with whom in PERSOL's joint use, and see why.
///
/// A company comes in by its published notice (APPI Art. 27(5)(iii)); it then asks for publications (to share) and
/// subscriptions (to read), each for one purpose of that notice; a second operator approves; a credential is issued.
///
///   hubctl sign-in --operator sato
///   hubctl company register persol-career --number 4010001000000 --name-ja パーソルキャリア --name-en "PERSOL CAREER"
///   hubctl notice draft persol-career --url https://… && hubctl notice evidence persol-career 1 page.pdf
///   hubctl subscription request career-sales --company persol-career --topic jointuse.contact
///   hubctl policy explain --login ju-sub-career-sales-1 --topic jointuse.contact
#[derive(Debug, Parser)]
#[command(name = "hubctl", version, verbatim_doc_comment, max_term_width = 110)]
pub(crate) struct Cli {
    /// Base URL of the authority.
    #[arg(long, env = "AUTHORITY_URL", global = true, default_value = "http://127.0.0.1:8080")]
    pub(crate) authority: String,
    /// PEM file with the authorities that its certificate may be of; without it, those of the operating system.
    #[arg(long, env = "AUTHORITY_TRUST", global = true)]
    pub(crate) trust_file: Option<PathBuf>,
    /// Where the session is kept (mode 0600).
    #[arg(long, env = "HUBCTL_SESSION", global = true)]
    pub(crate) session_file: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and keep the session for the commands that follow.
    ///
    /// The password is read from a file, or from standard input; it is never an argument.
    SignIn {
        /// Your operator name.
        #[arg(long)]
        operator: OperatorName,
        /// File that holds the password; standard input when not given.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Forget the session.
    SignOut,
    /// Say who is signed in, with which roles, until when.
    Whoami,
    /// Group companies.
    #[command(subcommand)]
    Company(CompanyCommand),
    /// Joint-use notices: what a company published, and the steps to its membership.
    ///
    /// drafted → notified → published → evidence-checked → active. Drafting and activating take two operators.
    #[command(subcommand)]
    Notice(NoticeCommand),
    /// Publications: permissions to share records.
    #[command(subcommand)]
    Publication(GrantCommand),
    /// Subscriptions: permissions to read records.
    #[command(subcommand)]
    Subscription(GrantCommand),
    /// Credentials: one login with a secret, for one publication or subscription.
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Write ready client configurations of a subscription (Java, librdkafka, KafkaJS).
    ///
    /// An operator's session reads it, or the subscription's own credential: with --login and --secret-file nobody signs in.
    ClientConfig {
        /// The subscription.
        subscription: String,
        /// A login of the subscription's: ask with it and the secret instead of a session.
        #[arg(long, requires = "secret_file")]
        login: Option<Login>,
        /// File that holds the secret shown when the credential was issued; without it the place is left marked.
        #[arg(long)]
        secret_file: Option<PathBuf>,
        /// Folder to write `<subscription>.properties`, `.librdkafka.conf` and `.json` to (mode 0600); for oauthbearer
        /// `<subscription>.oauthbearer.…`.
        #[arg(long, default_value = ".")]
        out: PathBuf,
        /// How the clients log in; may be given several times.
        #[arg(long = "mechanism", value_enum, default_value = "scram")]
        mechanisms: Vec<MechanismArg>,
    },
    /// Restrictions: whose records must not be used, not be provided, or not be used for mail.
    #[command(subcommand)]
    Restriction(RestrictionCommand),
    /// Who received somebody's data, when, for what, under which notice and decision. For privacy officers and auditors.
    ///
    /// The hub knows ranges of records that it delivered and history where each record of a contact stands, also of those
    /// that were superseded or erased: both are put together. A range knows how many of its records were withheld, not
    /// which; "delivered unless …" says what is not certain. Each question is recorded.
    ///
    ///   hubctl disclosures --contact 00112233445566778899aabbccddeeff --reason "request 17"
    ///   hubctl disclosures --person 0192f3c4-… --reason "leak 3" --since 2026-11-01T00:00:00Z --all --json
    #[command(verbatim_doc_comment)]
    Disclosures(DisclosuresArgs),
    /// The policy in force, and why it decides as it does.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// The Kafka cluster compared with what was approved.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Schemas in the registry.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Erase contacts, for ever: their records can be read by nobody any more, and no restore brings them back.
    ///
    /// For a person, name all contacts that history names for it.
    Erase(EraseArgs),
    /// Erasures: how far they are, and their certificates.
    #[command(subcommand)]
    Erasure(ErasureCommand),
    /// Key-encryption keys, under which every contact's key is wrapped. Run these where a service runs.
    ///
    /// To rotate: `keys add` on one host, give the key file to all, `keys use` on all, then `keys rotate` and `keys retire`.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The audit log: read it, export it, verify it offline.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Who did what, newest first.
    Activity {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Because {
    /// Why, in one sentence; kept with the activity.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct MaybeBecause {
    /// Why, in one sentence; kept with the activity.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CompanyCommand {
    /// Register a company. It can do nothing until its notice is active.
    Register {
        /// Slug, e.g. `persol-career`.
        id: CompanyId,
        /// Corporate number (法人番号), 13 digits.
        #[arg(long)]
        number: CorporateNumber,
        /// Name in Japanese.
        #[arg(long)]
        name_ja: String,
        /// Name in English.
        #[arg(long)]
        name_en: String,
        /// ISO 3166 alpha-2.
        #[arg(long, default_value = "JP")]
        country: String,
        /// For a company abroad (Art. 28).
        #[arg(long, value_parser = ["consent", "equivalent-country", "conforming-system"])]
        foreign_basis: Option<String>,
    },
    /// List companies.
    List,
    /// Show one company.
    Show {
        /// Which.
        id: CompanyId,
    },
    /// Stop a company's publishing and reading at once. Undo: resume.
    Suspend {
        /// Which.
        id: CompanyId,
        #[command(flatten)]
        because: Because,
    },
    /// Let a suspended company go on.
    Resume {
        /// Which.
        id: CompanyId,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Begin a company's leaving: it may no longer publish or read.
    Exit {
        /// Which.
        id: CompanyId,
        #[command(flatten)]
        because: Because,
    },
    /// Complete it. Final.
    End {
        /// Which.
        id: CompanyId,
        #[command(flatten)]
        because: Because,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NoticeRef {
    /// Whose.
    pub(crate) company: CompanyId,
    /// Version.
    pub(crate) version: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NoticeCommand {
    /// Draft a version of a company's notice.
    Draft(NoticeDraft),
    /// List a company's notices.
    List {
        /// Whose.
        company: CompanyId,
    },
    /// Record the file that shows what was published; its SHA-256 is kept.
    Evidence {
        #[command(flatten)]
        notice: NoticeRef,
        /// The file, e.g. a PDF of the page.
        file: PathBuf,
    },
    /// Record that the company notified.
    Notify {
        #[command(flatten)]
        notice: NoticeRef,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Record that the notice is published at its URL.
    Publish {
        #[command(flatten)]
        notice: NoticeRef,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Record that you compared the evidence with the notice.
    Check {
        #[command(flatten)]
        notice: NoticeRef,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Put the notice in force; takes another operator than the one who drafted it.
    Activate {
        #[command(flatten)]
        notice: NoticeRef,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Withdraw the notice: the company's publishing and reading stop at once.
    Withdraw {
        #[command(flatten)]
        notice: NoticeRef,
        #[command(flatten)]
        because: Because,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NoticeDraft {
    /// Whose.
    pub(crate) company: CompanyId,
    /// Where it is (to be) published.
    #[arg(long)]
    pub(crate) url: String,
    /// Items, by id; all of the catalogue when none is named.
    #[arg(long = "item")]
    pub(crate) items: Vec<ItemId>,
    /// Purposes, by id.
    #[arg(long = "purpose", default_value = "group-services-guidance")]
    pub(crate) purposes: Vec<PurposeId>,
    /// The scope of users, as worded.
    #[arg(long, default_value = "PERSOL Group companies that have notified and published under Art. 27(5)(iii)")]
    pub(crate) scope_rule: String,
    /// Name of the party responsible.
    #[arg(long, default_value_t = Manager::holdings().name)]
    pub(crate) manager: String,
    /// Its address.
    #[arg(long, default_value_t = Manager::holdings().address)]
    pub(crate) manager_address: String,
    /// Its representative.
    #[arg(long)]
    pub(crate) manager_representative: Option<String>,
    /// When it was published (RFC 3339); now when not given.
    #[arg(long)]
    pub(crate) published_at: Option<DateTime<Utc>>,
    /// From when on it may be relied on (RFC 3339); when it was published, when not given.
    #[arg(long)]
    pub(crate) effective_from: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub(crate) struct GrantRequest {
    /// Slug, e.g. `career-sales`.
    pub(crate) id: String,
    /// Whose.
    #[arg(long)]
    pub(crate) company: CompanyId,
    /// Topics, e.g. `jointuse.contact`; all shared topics when none is named.
    #[arg(long = "topic")]
    pub(crate) topics: Vec<TopicName>,
    /// Items, by id; all items of the catalogue when none is named.
    #[arg(long = "item")]
    pub(crate) items: Vec<ItemId>,
    /// The one purpose.
    #[arg(long, default_value = "group-services-guidance")]
    pub(crate) purpose: PurposeId,
    /// First instant of the term (RFC 3339); now when not given.
    #[arg(long)]
    pub(crate) from: Option<DateTime<Utc>>,
    /// First instant after the term (RFC 3339); a year from its beginning when not given.
    #[arg(long)]
    pub(crate) until: Option<DateTime<Utc>>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Ask for one. What the notice in force does not allow is refused here already.
    Request(GrantRequest),
    /// List them.
    List,
    /// Show one.
    Show {
        /// Which.
        id: String,
    },
    /// Approve it; takes another operator than the one who asked.
    Approve {
        /// Which.
        id: String,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// Decline it; takes another operator than the one who asked.
    Decline {
        /// Which.
        id: String,
        #[command(flatten)]
        because: Because,
    },
    /// Stop it at once. Undo: resume.
    Suspend {
        /// Which.
        id: String,
        #[command(flatten)]
        because: Because,
    },
    /// Let a suspended one go on.
    Resume {
        /// Which.
        id: String,
        #[command(flatten)]
        because: MaybeBecause,
    },
    /// End it at once, with its credentials. Final.
    Revoke {
        /// Which.
        id: String,
        #[command(flatten)]
        because: Because,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the newest snapshot's number, its expiry and the rules in force.
    Show,
    /// Say whether a login may do something now, and by which rules.
    Explain {
        /// Whose login.
        #[arg(long)]
        login: Login,
        /// On which topic.
        #[arg(long)]
        topic: TopicName,
        /// `publish`, `deliver` or `read-history`; what the login's kind of grant does, when not given.
        #[arg(long, value_parser = parse_action)]
        action: Option<Action>,
    },
}

fn parse_action(text: &str) -> Result<Action, String> {
    match text {
        "publish" => Ok(Action::Publish),
        "deliver" => Ok(Action::Deliver),
        "read-history" => Ok(Action::ReadHistory),
        _ => Err("one of publish, deliver, read-history".into()),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show what apply would do; changes nothing.
    Plan,
    /// Show the plan, then make the cluster as approved.
    Apply {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Show the drift that was found and mended.
    Drift,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// List subjects with their versions and ids.
    List,
    /// Print the newest schema of a subject.
    Show {
        /// `<topic>-value`.
        subject: String,
    },
    /// Say whether a schema could be registered; changes nothing.
    Check {
        /// `<topic>-value`.
        subject: String,
        /// `.avsc` file.
        file: PathBuf,
    },
    /// Register a schema. A field outside the catalogue is refused with its path.
    Register {
        /// `<topic>-value`.
        subject: String,
        /// `.avsc` file.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistyped_corporate_number_is_refused_before_any_call() {
        let error = Cli::try_parse_from([
            "hubctl",
            "company",
            "register",
            "a",
            "--number",
            "7000012050003",
            "--name-ja",
            "甲",
            "--name-en",
            "A",
        ])
        .unwrap_err()
        .to_string();
        assert!(error.contains("check digit"), "{error}");
    }
}
