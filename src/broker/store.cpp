// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/store.hpp"

#include <fmt/format.h>

#include "sqlite.hpp"

namespace vfb::broker {

using sqlite::Statement;

namespace {

constexpr int kSchemaVersion = 5;

constexpr const char* kSchema = R"(
CREATE TABLE slot(pf TEXT, idx INTEGER, generation INTEGER NOT NULL,
                  touched INTEGER NOT NULL, driver TEXT, driver_override TEXT,
                  lent_netdev INTEGER NOT NULL, PRIMARY KEY(pf, idx)) WITHOUT ROWID;
CREATE TABLE pf(name TEXT PRIMARY KEY, address TEXT NOT NULL, created INTEGER NOT NULL,
                autoprobe INTEGER NOT NULL, was_up INTEGER, mtu INTEGER,
                eswitch_mode TEXT, found_vfs INTEGER) WITHOUT ROWID;
CREATE TABLE drained(is_pf INTEGER, name TEXT, PRIMARY KEY(is_pf, name)) WITHOUT ROWID;
CREATE TABLE resize(pf TEXT PRIMARY KEY, vfs_from INTEGER NOT NULL, vfs_to INTEGER NOT NULL,
                configured INTEGER NOT NULL, again INTEGER NOT NULL,
                settled INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE lease(id INTEGER PRIMARY KEY AUTOINCREMENT, pool TEXT NOT NULL, guest TEXT NOT NULL,
                   backend TEXT NOT NULL, owner TEXT NOT NULL, uid INTEGER NOT NULL,
                   pid INTEGER NOT NULL, start_time INTEGER NOT NULL,
                   connection INTEGER NOT NULL, hand_off TEXT NOT NULL,
                   since INTEGER NOT NULL, settled INTEGER NOT NULL);
CREATE TABLE lease_function(lease INTEGER NOT NULL REFERENCES lease(id) ON DELETE CASCADE,
                   position INTEGER, pf TEXT NOT NULL, idx INTEGER NOT NULL,
                   address TEXT NOT NULL, generation INTEGER NOT NULL, lost INTEGER NOT NULL,
                   mac TEXT, vlan INTEGER, qos INTEGER, vlan_protocol TEXT, spoof_check INTEGER,
                   trust INTEGER, min_tx_rate INTEGER, max_tx_rate INTEGER, link_state TEXT,
                   rss_query INTEGER, node_guid TEXT, port_guid TEXT,
                   PRIMARY KEY(lease, position)) WITHOUT ROWID;
CREATE TABLE lease_node(lease INTEGER NOT NULL REFERENCES lease(id) ON DELETE CASCADE,
                   path TEXT, uid INTEGER NOT NULL, gid INTEGER NOT NULL, mode INTEGER NOT NULL,
                   PRIMARY KEY(lease, path)) WITHOUT ROWID;
PRAGMA user_version = 5;
)";

void bind_attributes(Statement& s, const nic::VfAttributes& a) {
    const auto text = [](const auto& value) -> std::optional<std::string> {
        if (!value) return std::nullopt;
        return std::string(nic::to_string(*value));
    };
    s.bind_optional(a.mac ? std::optional(a.mac->str()) : std::nullopt)
        .bind_optional(a.vlan)
        .bind_optional(a.qos)
        .bind_optional(text(a.vlan_protocol))
        .bind_optional(a.spoof_check)
        .bind_optional(a.trust)
        .bind_optional(a.min_tx_rate)
        .bind_optional(a.max_tx_rate)
        .bind_optional(text(a.link_state))
        .bind_optional(a.rss_query)
        .bind_optional(a.node_guid ? std::optional(a.node_guid->str()) : std::nullopt)
        .bind_optional(a.port_guid ? std::optional(a.port_guid->str()) : std::nullopt);
}

Result<nic::VfAttributes> read_attributes(Statement& s) {
    nic::VfAttributes a;
    if (const auto mac = s.optional_text()) {
        VFB_TRY(a.mac, nic::MacAddress::parse(*mac));
    }
    a.vlan = s.optional_number<std::uint16_t>();
    a.qos = s.optional_number<std::uint8_t>();
    if (const auto text = s.optional_text())
        a.vlan_protocol = nic::vlan_protocol_from_string(*text);
    a.spoof_check = s.optional_number<bool>();
    a.trust = s.optional_number<bool>();
    a.min_tx_rate = s.optional_number<std::uint32_t>();
    a.max_tx_rate = s.optional_number<std::uint32_t>();
    if (const auto text = s.optional_text()) a.link_state = nic::link_state_from_string(*text);
    a.rss_query = s.optional_number<bool>();
    for (auto* const guid : {&a.node_guid, &a.port_guid})
        if (const auto text = s.optional_text()) {
            VFB_TRY(*guid, nic::Guid::parse(*text));
        }
    return a;
}

std::unexpected<Error> damaged(const std::string& what) {
    return fail(Code::failed, "read the state database", "state.db", what,
                "stop vfbrokerd, end all guests that use its functions, remove the file and start "
                "it again");
}

}  // namespace

struct Store::Impl {
    explicit Impl(sqlite3* raw) : db(raw) {}

    std::unique_ptr<sqlite3, sqlite::Close> db;
    std::optional<Statement> begin, commit, rollback;
    std::optional<Statement> put_lease, put_function, put_node, settle, put_owner, update_function,
        delete_nodes, remove_lease;
    std::optional<Statement> put_slot, put_generation, put_pf, remove_pf;
    std::optional<Statement> put_drained, remove_drained, put_resize, remove_resize;
    std::optional<Statement> put_text, remove_texts;

    void prepare();
    Result<> exec(const char* sql) const;
    Result<> open_schema();
    Result<> put_nodes(const Lease& lease);
    Result<> write_lease(const Lease& lease);
    Result<> rewrite_lease(const Lease& lease);
    Result<> read_functions(Lease& lease);
    Result<> read_nodes(Lease& lease);

    // All of `body` or nothing.
    template <class Body>
    Result<> transaction(Body body) {
        VFB_CHECK(begin->start().run());
        if (auto done = body(); !done) {
            (void)rollback->start().run();  // the error worth reporting is that of `body`
            return done;
        }
        return commit->start().run();
    }
};

Result<> Store::Impl::exec(const char* sql) const {
    char* message = nullptr;
    if (sqlite3_exec(db.get(), sql, nullptr, nullptr, &message) == SQLITE_OK) return {};
    std::string text = message == nullptr ? "unknown error" : message;
    sqlite3_free(message);
    return damaged(text);
}

Result<> Store::Impl::open_schema() {
    VFB_CHECK(
        exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;"
             "PRAGMA cache_size = -256; PRAGMA locking_mode = EXCLUSIVE;"));
    Statement version(db.get(), "PRAGMA user_version");
    VFB_TRY(const bool row, version.start().step());
    const auto found = row ? version.number() : 0;
    version.start();
    if (found == 0) VFB_CHECK(exec(kSchema));
    if (found != 0 && found != kSchemaVersion)
        return damaged(fmt::format("its schema is version {}, this vfbrokerd knows version {}",
                                   found, kSchemaVersion));
    // Added later, and no concern of daemons that do not know it.
    VFB_CHECK(
        exec("CREATE TABLE IF NOT EXISTS configuration(path TEXT PRIMARY KEY,"
             "text TEXT NOT NULL) WITHOUT ROWID;"));
    prepare();
    return {};
}

void Store::Impl::prepare() {
    sqlite3* d = db.get();
    begin.emplace(d, "BEGIN IMMEDIATE");
    commit.emplace(d, "COMMIT");
    rollback.emplace(d, "ROLLBACK");
    put_lease.emplace(d, "INSERT INTO lease VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");
    put_function.emplace(
        d, "INSERT INTO lease_function VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    put_node.emplace(d, "INSERT INTO lease_node VALUES(?,?,?,?,?)");
    settle.emplace(d, "UPDATE lease SET settled=? WHERE id=?");
    put_owner.emplace(d, "UPDATE lease SET owner=?,pid=?,start_time=?,connection=? WHERE id=?");
    update_function.emplace(d,
                            "UPDATE lease_function SET lost=?,mac=?,vlan=?,qos=?,vlan_protocol=?,"
                            "spoof_check=?,trust=?,min_tx_rate=?,max_tx_rate=?,link_state=?,"
                            "rss_query=?,node_guid=?,port_guid=? "
                            "WHERE lease=? AND position=?");
    delete_nodes.emplace(d, "DELETE FROM lease_node WHERE lease=?");
    remove_lease.emplace(d, "DELETE FROM lease WHERE id=?");
    put_slot.emplace(d,
                     "INSERT INTO slot VALUES(?,?,?,?,?,?,?) ON CONFLICT(pf,idx) DO UPDATE SET "
                     "generation=excluded.generation, touched=excluded.touched, "
                     "driver=excluded.driver, driver_override=excluded.driver_override, "
                     "lent_netdev=excluded.lent_netdev");
    put_generation.emplace(d,
                           "INSERT INTO slot VALUES(?,?,?,0,NULL,NULL,?) ON CONFLICT(pf,idx) DO "
                           "UPDATE SET generation=excluded.generation, "
                           "lent_netdev=excluded.lent_netdev");
    put_pf.emplace(d, "INSERT OR REPLACE INTO pf VALUES(?,?,?,?,?,?,?,?)");
    remove_pf.emplace(d, "DELETE FROM pf WHERE name=?");
    put_drained.emplace(d, "INSERT OR REPLACE INTO drained VALUES(?,?)");
    remove_drained.emplace(d, "DELETE FROM drained WHERE is_pf=? AND name=?");
    put_resize.emplace(d, "INSERT OR REPLACE INTO resize VALUES(?,?,?,?,?,?)");
    remove_resize.emplace(d, "DELETE FROM resize WHERE pf=?");
    put_text.emplace(d, "INSERT INTO configuration VALUES(?,?)");
    remove_texts.emplace(d, "DELETE FROM configuration");
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(const std::string& path) {
    sqlite3* raw = nullptr;
    const int rc =
        sqlite3_open_v2(path.c_str(), &raw,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    auto impl = std::make_unique<Impl>(raw);
    if (rc != SQLITE_OK)
        return fail(Code::failed, "open the state database " + path, path, sqlite3_errstr(rc),
                    "does its folder exist, and may vfbrokerd write to it?");
    VFB_CHECK(impl->open_schema());
    return Store(std::move(impl));
}

Result<> Store::Impl::put_nodes(const Lease& lease) {
    for (const LentNode& node : lease.nodes)
        VFB_CHECK(put_node->start()
                      .bind(lease.id)
                      .bind(node.path)
                      .bind(std::int64_t{node.original.uid})
                      .bind(std::int64_t{node.original.gid})
                      .bind(std::int64_t{node.original.mode})
                      .run());
    return {};
}

Result<> Store::Impl::write_lease(const Lease& l) {
    VFB_CHECK(put_lease->start()
                  .bind(l.id)
                  .bind(l.pool)
                  .bind(l.guest)
                  .bind(vfio::to_string(l.backend))
                  .bind(to_string(l.owner.kind))
                  .bind(std::int64_t{l.owner.uid})
                  .bind(std::int64_t{l.owner.process.pid})
                  .bind(static_cast<std::int64_t>(l.owner.process.start_time))
                  .bind(l.owner.connection)
                  .bind(to_string(l.hand_off))
                  .bind(l.since)
                  .bind(std::int64_t{l.settled})
                  .run());
    std::int64_t position = 0;
    for (const LeasedFunction& f : l.functions) {
        put_function->start()
            .bind(l.id)
            .bind(position++)
            .bind(f.slot.pf)
            .bind(std::int64_t{f.slot.index})
            .bind(f.address.str())
            .bind(static_cast<std::int64_t>(f.generation))
            .bind(std::int64_t{f.lost});
        bind_attributes(*put_function, f.attributes);
        VFB_CHECK(put_function->run());
        VFB_CHECK(put_generation->start()
                      .bind(f.slot.pf)
                      .bind(std::int64_t{f.slot.index})
                      .bind(static_cast<std::int64_t>(f.generation))
                      .bind(std::int64_t{l.hand_off == HandOff::netdev})
                      .run());
    }
    return put_nodes(l);
}

Result<> Store::Impl::rewrite_lease(const Lease& lease) {
    VFB_CHECK(settle->start().bind(std::int64_t{lease.settled}).bind(lease.id).run());
    std::int64_t position = 0;
    for (const LeasedFunction& f : lease.functions) {
        update_function->start().bind(std::int64_t{f.lost});
        bind_attributes(*update_function, f.attributes);
        VFB_CHECK(update_function->bind(lease.id).bind(position++).run());
    };
    VFB_CHECK(delete_nodes->start().bind(lease.id).run());
    return put_nodes(lease);
}

Result<> Store::put_lease(const Lease& lease) {
    return impl_->transaction([&] { return impl_->write_lease(lease); });
}

Result<> Store::settle_lease(const Lease& lease) {
    return impl_->transaction([&] { return impl_->rewrite_lease(lease); });
}

Result<> Store::put_owner(const Lease& lease) {
    return impl_->put_owner->start()
        .bind(to_string(lease.owner.kind))
        .bind(std::int64_t{lease.owner.process.pid})
        .bind(static_cast<std::int64_t>(lease.owner.process.start_time))
        .bind(lease.owner.connection)
        .bind(lease.id)
        .run();
}

Result<> Store::remove_lease(LeaseId id) {
    return impl_->remove_lease->start().bind(id).run();
}

Result<> Store::put_slot(const StoredSlot& slot) {
    auto& s = impl_->put_slot->start();
    s.bind(slot.key.pf)
        .bind(std::int64_t{slot.key.index})
        .bind(static_cast<std::int64_t>(slot.generation))
        .bind(std::int64_t{slot.original.has_value()});
    if (slot.original) {
        s.bind_optional(slot.original->driver).bind(slot.original->driver_override);
    } else {
        s.bind_optional(std::optional<std::string>()).bind_optional(std::optional<std::string>());
    }
    return s.bind(std::int64_t{slot.lent_netdev}).run();
}

Result<> Store::put_pf(const StoredPf& pf) {
    return impl_->put_pf->start()
        .bind(pf.name)
        .bind(pf.address.str())
        .bind(std::int64_t{pf.created_vfs})
        .bind(std::int64_t{pf.autoprobe})
        .bind_optional(pf.was_up)
        .bind_optional(pf.mtu)
        .bind_optional(pf.eswitch_mode ? std::optional(std::string(to_string(*pf.eswitch_mode)))
                                       : std::nullopt)
        .bind_optional(pf.found_vfs)
        .run();
}

Result<> Store::put_drained(const DrainTarget& target) {
    return impl_->put_drained->start()
        .bind(std::int64_t{target.kind == DrainTarget::Kind::pf})
        .bind(target.name)
        .run();
}

Result<> Store::remove_drained(const DrainTarget& target) {
    return impl_->remove_drained->start()
        .bind(std::int64_t{target.kind == DrainTarget::Kind::pf})
        .bind(target.name)
        .run();
}

Result<> Store::put_resize(const StoredResize& resize) {
    return impl_->put_resize->start()
        .bind(resize.pf)
        .bind(std::int64_t{resize.from})
        .bind(std::int64_t{resize.to})
        .bind(std::int64_t{resize.configured})
        .bind(std::int64_t{resize.again})
        .bind(std::int64_t{resize.settled})
        .run();
}

Result<> Store::remove_resize(const std::string& pf) {
    return impl_->remove_resize->start().bind(pf).run();
}

Result<> Store::remove_pf(const std::string& name) {
    return impl_->remove_pf->start().bind(name).run();
}

// Kept with the texts, so that a configuration without files is told from none.
constexpr std::string_view kKept = "";

Result<> Store::put_configuration(const ConfigTexts& texts) {
    return impl_->transaction([&]() -> Result<> {
        VFB_CHECK(impl_->remove_texts->start().run());
        VFB_CHECK(impl_->put_text->start().bind(kKept).bind(kKept).run());
        for (const auto& [path, text] : texts)
            VFB_CHECK(impl_->put_text->start().bind(path).bind(text).run());
        return {};
    });
}

Result<std::optional<ConfigTexts>> Store::configuration() {
    std::optional<ConfigTexts> texts;
    Statement s(impl_->db.get(), "SELECT path,text FROM configuration ORDER BY path");
    for (s.start();;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return texts;
        if (!texts) texts.emplace();
        auto path = s.text();
        auto text = s.text();
        if (path != kKept) texts->emplace(std::move(path), std::move(text));
    }
}

Result<> Store::Impl::read_functions(Lease& lease) {
    Statement s(
        db.get(),
        "SELECT pf,idx,address,generation,lost,mac,vlan,qos,vlan_protocol,"
        "spoof_check,trust,min_tx_rate,max_tx_rate,link_state,rss_query,node_guid,port_guid "
        "FROM lease_function "
        "WHERE lease=? ORDER BY position");
    s.start().bind(lease.id);
    for (;;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return {};
        LeasedFunction f;
        f.slot.pf = s.text();
        f.slot.index = static_cast<std::uint16_t>(s.number());
        VFB_TRY(f.address, pci::Address::parse(s.text()));
        f.generation = static_cast<std::uint64_t>(s.number());
        f.lost = s.number() != 0;
        VFB_TRY(f.attributes, read_attributes(s));
        lease.functions.push_back(std::move(f));
    }
}

Result<> Store::Impl::read_nodes(Lease& lease) {
    Statement s(db.get(), "SELECT path,uid,gid,mode FROM lease_node WHERE lease=?");
    s.start().bind(lease.id);
    for (;;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return {};
        LentNode node;
        node.path = s.text();
        node.original.uid = static_cast<uid_t>(s.number());
        node.original.gid = static_cast<gid_t>(s.number());
        node.original.mode = static_cast<mode_t>(s.number());
        lease.nodes.push_back(std::move(node));
    }
}

Result<std::vector<Lease>> Store::leases() {
    std::vector<Lease> leases;
    Statement s(impl_->db.get(),
                "SELECT id,pool,guest,backend,owner,uid,pid,start_time,connection,hand_off,"
                "since,settled FROM lease ORDER BY id");
    for (s.start();;) {
        VFB_TRY(const bool row, s.step());
        if (!row) break;
        Lease l;
        l.id = s.number();
        l.pool = s.text();
        l.guest = s.text();
        const auto backend = vfio::backend_from_string(s.text());
        const auto owner = owner_kind_from_string(s.text());
        l.owner.uid = static_cast<uid_t>(s.number());
        l.owner.process.pid = static_cast<pid_t>(s.number());
        l.owner.process.start_time = static_cast<std::uint64_t>(s.number());
        l.owner.connection = s.number();
        const auto hand_off = hand_off_from_string(s.text());
        l.since = s.number();
        l.settled = s.number() != 0;
        if (!backend || !owner || !hand_off)
            return damaged(
                fmt::format("lease {} holds a word that this vfbrokerd does not know", l.id));
        l.backend = *backend;
        l.owner.kind = *owner;
        l.hand_off = *hand_off;
        leases.push_back(std::move(l));
    }
    for (Lease& lease : leases) {
        VFB_CHECK(impl_->read_functions(lease));
        VFB_CHECK(impl_->read_nodes(lease));
    }
    return leases;
}

Result<std::vector<StoredSlot>> Store::slots() {
    std::vector<StoredSlot> slots;
    Statement s(impl_->db.get(),
                "SELECT pf,idx,generation,touched,driver,driver_override,lent_netdev FROM slot");
    for (s.start();;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return slots;
        StoredSlot slot;
        slot.key.pf = s.text();
        slot.key.index = static_cast<std::uint16_t>(s.number());
        slot.generation = static_cast<std::uint64_t>(s.number());
        const bool touched = s.number() != 0;
        pci::Binding binding;
        binding.driver = s.optional_text();
        binding.driver_override = s.optional_text().value_or("");
        slot.lent_netdev = s.number() != 0;
        if (touched) slot.original = std::move(binding);
        slots.push_back(std::move(slot));
    }
}

Result<std::vector<StoredPf>> Store::pfs() {
    std::vector<StoredPf> pfs;
    Statement s(impl_->db.get(),
                "SELECT name,address,created,autoprobe,was_up,mtu,eswitch_mode,found_vfs FROM pf");
    for (s.start();;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return pfs;
        StoredPf pf;
        pf.name = s.text();
        VFB_TRY(pf.address, pci::Address::parse(s.text()));
        pf.created_vfs = s.number() != 0;
        pf.autoprobe = s.number() != 0;
        pf.was_up = s.optional_number<bool>();
        pf.mtu = s.optional_number<std::uint32_t>();
        if (const auto text = s.optional_text())
            pf.eswitch_mode = nic::eswitch_mode_from_string(*text);
        pf.found_vfs = s.optional_number<unsigned>();
        pfs.push_back(std::move(pf));
    }
}

Result<std::vector<DrainTarget>> Store::drained() {
    std::vector<DrainTarget> targets;
    Statement s(impl_->db.get(), "SELECT is_pf,name FROM drained");
    for (s.start();;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return targets;
        const auto kind = s.number() != 0 ? DrainTarget::Kind::pf : DrainTarget::Kind::pool;
        targets.push_back({.kind = kind, .name = s.text()});
    }
}

Result<std::vector<StoredResize>> Store::resizes() {
    std::vector<StoredResize> resizes;
    Statement s(impl_->db.get(), "SELECT pf,vfs_from,vfs_to,configured,again,settled FROM resize");
    for (s.start();;) {
        VFB_TRY(const bool row, s.step());
        if (!row) return resizes;
        StoredResize resize;
        resize.pf = s.text();
        resize.from = static_cast<unsigned>(s.number());
        resize.to = static_cast<unsigned>(s.number());
        resize.configured = static_cast<unsigned>(s.number());
        resize.again = s.number() != 0;
        resize.settled = s.number() != 0;
        resizes.push_back(std::move(resize));
    }
}

Result<LeaseId> Store::last_lease_id() {
    Statement s(impl_->db.get(), "SELECT seq FROM sqlite_sequence WHERE name='lease'");
    VFB_TRY(const bool row, s.start().step());
    return row ? s.number() : 0;
}

}  // namespace vfb::broker
