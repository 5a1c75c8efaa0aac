// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon.hpp"

#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <systemd/sd-daemon.h>

#include <csignal>
#include <filesystem>

#include "broker/policy.hpp"
#include "log.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

// How long units that are ordered after us wait at most for functions to be prepared.
constexpr auto kReadyTimeout = 60s;

std::uint64_t machine_memory() {
    struct sysinfo info{};
    if (::sysinfo(&info) != 0) return 0;
    return std::uint64_t{info.totalram} * info.mem_unit;
}

}  // namespace

Daemon::Daemon(const Options& options, const SysRoot& root, std::unique_ptr<EventLoop> loop,
               broker::Broker broker)
    : options_(options),
      root_(root),
      loop_(std::move(loop)),
      workers_(*loop_, root, options.root),
      world_(*loop_, workers_, root.is_host()),
      broker_(std::move(broker)),
      hardware_(*loop_, root, workers_, world_, broker_),
      give_back_(workers_, world_, broker_, hardware_),
      leasing_(*loop_, root, world_, broker_, hardware_, fd_store_),
      loader_(*loop_, options.config),
      surveyor_(workers_, world_, hardware_),
      resizer_(root, world_, broker_, hardware_),
      drainer_(*loop_, broker_),
      gate_(*loop_),
      applier_(
          {.loader = loader_,
           .surveyor = surveyor_,
           .broker = broker_,
           .hardware = hardware_,
           .give_back = give_back_,
           .resizer = resizer_,
           .put_in_force = [this](broker::Config config) { put_in_force(std::move(config)); }}),
      leftovers_(
          {.loop = *loop_,
           .applier = applier_,
           .at_rest =
               [this] { return resizer_.idle() && hardware_.settled() && give_back_.idle(); }}),
      drift_(*loop_, broker_, hardware_),
      server_(*loop_, root),
      watchers_(*loop_),
      lease_watchers_(*loop_, broker_) {}

Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::create(const Options& options, const SysRoot& root) {
    VFB_TRY(auto loop, EventLoop::create());
    std::error_code ignored;  // opening the store says what is wrong
    std::filesystem::create_directories(std::filesystem::path(options.state).parent_path(),
                                        ignored);
    VFB_TRY(auto store, broker::Store::open(options.state));
    VFB_TRY(auto broker, broker::Broker::open(std::move(store), machine_memory()));
    std::unique_ptr<Daemon> daemon(new Daemon(options, root, std::move(loop), std::move(broker)));
    VFB_CHECK(daemon->start());
    return daemon;
}

Result<> Daemon::start() {
    auto config = options_.task == Task::serve ? first_config() : broker::Config{};
    set_identity();
    set_places();
    server_.set_administrators(config.administrators);
    broker_.configure(std::move(config));
    wire();
    if (options_.task == Task::serve)
        VFB_CHECK(server_.listen(options_.socket, fd_store_.take_listener()));
    else
        VFB_CHECK(check_leases());
    const auto waiting =
        leasing_.adopt([this](UniqueFd socket) { return server_.adopt(std::move(socket)); });
    for (const std::uint64_t session : waiting)
        server_.refuse(session, fail(Code::lost, "lease", "vfbrokerd",
                                     "vfbrokerd was restarted in the middle of it", "ask again")
                                    .error());
    if (root_.is_host()) VFB_CHECK(drift_.start());
    VFB_CHECK(world_.start([this](const Result<>& result) { on_inventory(result); }));
    VFB_TRY(ready_deadline_, loop_->after(kReadyTimeout, [this] {
        if (options_.task == Task::give_back) return end_giving_back();
        if (!ready_) log(Level::warning, "some functions are still being prepared");
        announce_ready();
    }));
    for (const int signal : {SIGTERM, SIGINT}) {
        VFB_TRY(auto source, loop_->on_signal(signal, [this] {
            (void)sd_notify(0, "STOPPING=1");
            leasing_.refuse_waiting();
            loop_->stop(0);
        }));
        signals_.push_back(std::move(source));
    }
    VFB_TRY(auto hangup, loop_->on_signal(SIGHUP, [this] { reload({}); }));
    signals_.push_back(std::move(hangup));
    return {};
}

// A wrong configuration stops no start: leases would be without a broker, and nodes stay lent.
broker::Config Daemon::first_config() {
    auto config = broker::load_config(options_.config);
    if (config) {
        files_are_good(*config);
        return std::move(*config);
    }
    auto last = last_good();
    config_state_.in_force = last ? ConfigState::InForce::last_good : ConfigState::InForce::none;
    files_are_bad(config.error());
    return last ? std::move(*last) : broker::Config();
}

std::optional<broker::Config> Daemon::last_good() {
    const auto texts = broker_.last_good();
    if (!texts) log_error(texts.error());
    if (!texts || !*texts) return std::nullopt;
    auto last = broker::parse_config(**texts);
    if (last) return std::move(*last);
    // A user that it names is gone, for example.
    log_error(last.error());
    return std::nullopt;
}

void Daemon::files_are_good(const broker::Config& config) {
    config_state_ = {};
    if (auto kept = broker_.remember_good(config.files); !kept)
        log_error(kept.error(), Level::warning);
    (void)sd_notify(0, "STATUS=");
}

void Daemon::files_are_bad(const Error& error) {
    config_state_.fault = error;
    if (config_state_.in_force == ConfigState::InForce::files)
        config_state_.in_force = ConfigState::InForce::last_good;
    for (const Error* one = &error; one != nullptr; one = one->cause.get()) {
        Error alone = *one;
        alone.cause.reset();
        log_error(alone);
    }
    log(Level::warning, "{}", in_words(config_state_.in_force));
    (void)sd_notifyf(0, "STATUS=Configuration wrong: %s: %s", error.subject.c_str(),
                     error.reason.c_str());
}

void Daemon::wire() {
    service_ = std::make_unique<Service>(
        Service::Parts{.root = root_,
                       .world = world_,
                       .broker = broker_,
                       .hardware = hardware_,
                       .workers = workers_,
                       .leasing = leasing_,
                       .drainer = drainer_,
                       .resizer = resizer_,
                       .applier = applier_,
                       .watchers = watchers_,
                       .lease_watchers = lease_watchers_,
                       .gate = gate_,
                       .config_state = config_state_,
                       .reload = [this](const auto& done) { reload(done); }});
    server_.on_request([this](const Request& request) { service_->handle(request); });
    server_.on_closed([this](std::uint64_t session) {
        gate_.connection_closed(session);
        leasing_.connection_closed(session);
        watchers_.connection_closed(session);
        lease_watchers_.connection_closed(session);
    });
    server_.on_flushed([this] { lease_watchers_.changed(); });
    hardware_.on_wrong_number([this](const std::string& pf, unsigned wanted) {
        resizer_.resize(pf, wanted, {}, {}, [](const Result<>& done) {
            if (!done) log_error(done.error(), Level::warning);
        });
    });
    resizer_.on_end([this] {
        give_back_.check();
        came_to_rest();
    });
    hardware_.on_lost([this](broker::LeaseId) { lease_watchers_.changed(); });
    give_back_.on_end([this] {
        came_to_rest();
        check_given_back();
    });
    leasing_.on_end([this](const broker::Lease& lease, const std::string& how) {
        lease_watchers_.ended(lease, how);
        drainer_.check();
        // A slot under a name that its PF had before the last restart is at rest at once: no scrub
        // tells of it.
        if (inventory_read_) give_back_.check();
    });
    world_.on_change([this](const auto& address, const auto* before, const auto* now) {
        if (!inventory_read_) return;
        hardware_.on_world_change(address, before, now);
        leasing_.end_returned(address);
        watchers_.changed();
    });
    world_.on_vfio_removal([this](const pci::Address& address) {
        const broker::Slot* slot = broker_.find_at(address);
        if (slot == nullptr || !slot->lease) return;
        const broker::Lease* lease = broker_.find_lease(*slot->lease);
        // Taken away by ourselves, for its kernel driver.
        if (lease != nullptr && lease->hand_off == broker::HandOff::netdev) return;
        log(Level::warning,
            "the kernel is taking {} away from lease {}, and waits until its holder (pid {}) "
            "closes it",
            address, *slot->lease, lease != nullptr ? lease->owner.process.pid : 0);
        lease_watchers_.leaving(address);
    });
    hardware_.on_slot_change([this](bool news) {
        give_back_.check();
        leasing_.serve_waiting();
        drainer_.check();
        came_to_rest();
        if (news) watchers_.changed();
        lease_watchers_.changed();
        if (hardware_.settled()) announce_ready();
        check_given_back();
    });
}

void Daemon::set_identity() {
    std::string machine;
    if (const auto id = Dir::open("/etc"))
        if (const auto text = id->read("machine-id")) machine = *text;
    broker_.set_identity(machine, [this](const std::string& name) -> std::string {
        const auto it = hardware_.pfs().find(name);
        if (it == hardware_.pfs().end() || !it->second.address) return name;
        const pci::Function* pf = world_.find(*it->second.address);
        if (pf == nullptr) return name;
        for (const auto& netdev : pf->netdevs)
            if (!netdev.permanent_mac.empty()) return netdev.permanent_mac;
        return pf->slot.empty() ? pf->address.str() : pf->slot.str();
    });
}

void Daemon::set_places() {
    broker_.set_places(
        {.pf = [this](const std::string& name) { return hardware_.address_of(name); },
         .physfn = [this](const pci::Address& vf) -> std::optional<pci::Address> {
             const pci::Function* function = world_.find(vf);
             return function != nullptr ? function->physfn : std::nullopt;
         }});
}

void Daemon::on_inventory(const Result<>& result) {
    if (!result) {
        // Without an inventory nothing can be handed out; what is leased stays leased.
        log_error(result.error());
        if (options_.task == Task::give_back) return loop_->stop(1);
        gate_.decide(result);
        announce_ready();
        return;
    }
    inventory_read_ = true;
    log(Level::info, "{} PCI functions", world_.functions().size());
    adapt();
    leasing_.end_returned();
    gate_.decide({});
    if (hardware_.settled()) announce_ready();
    check_given_back();
}

void Daemon::announce_ready() {
    if (ready_ || options_.task == Task::give_back) return;
    ready_ = true;
    ready_deadline_.reset();
    (void)sd_notify(0, "READY=1");
    log(Level::info, "ready");
}

void Daemon::reload(const Service::ReloadDone& done) {
    (void)sd_notify(0, "RELOADING=1");
    loader_.load([this, done](const Result<broker::Config>& config) {
        if (config) return reload(*config, done);
        // The one in force goes on: a typing error must not take functions from anybody.
        files_are_bad(config.error());
        (void)sd_notify(0, "READY=1");
        if (done) done(std::unexpected(config.error()));
    });
}

// What a PF can be asked for is known before anything of it is touched.
void Daemon::reload(const broker::Config& config, const Service::ReloadDone& done) {
    surveyor_.read_limits(
        config, [this, config, done, before = times_configured_](const Surveyor::Limits& limits) {
            // Another one was put in force meanwhile, which may have been read later.
            if (times_configured_ != before) return reload(done);
            for (const auto& [pf, found] : limits)
                if (const auto address = hardware_.address_of(pf))
                    hardware_.learn(pf, *address, found);
            put_in_force(config);
            log(Level::info, "configuration reloaded");
            (void)sd_notify(0, "READY=1");
            if (done)
                leftovers_.ask([done](std::optional<broker::Plan> left) { done(std::move(left)); });
        });
}

void Daemon::put_in_force(broker::Config config) {
    ++times_configured_;
    files_are_good(config);
    for (const auto& change : broker::policy_changes(broker_.config(), config))
        log(Level::notice, "pool {}: {}", change.subject, change.text);
    server_.set_administrators(config.administrators);
    broker_.configure(std::move(config));
    if (!inventory_read_) return;
    adapt();
    watchers_.changed();
    lease_watchers_.changed();
}

// Brings the machine to what is in force. Of a PF that no configuration tells of nobody knows
// whether it is to go back to the host: what is leased of it is looked after, and no more.
void Daemon::adapt() {
    hardware_.apply();
    if (config_state_.in_force == ConfigState::InForce::none)
        hardware_.look_after_leased();
    else
        give_back_.begin();
}

void Daemon::came_to_rest() {
    applier_.check();
    leftovers_.check();
}

int Daemon::run() {
    return loop_->run();
}

}  // namespace vfb::daemon
