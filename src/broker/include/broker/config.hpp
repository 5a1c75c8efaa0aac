// SPDX-License-Identifier: GPL-2.0-or-later
//
// Config: what the operator wants, from the TOML files of /etc/vfbroker.
//
// All files `*.toml` of the directory are read in order of their names and their tables merged; a
// PF or pool that is defined twice is an error which names both places. The whole is checked
// before anything is returned: a Config is consistent in itself (every pool's PFs exist, indexes
// are below the PF's number of VFs, no function is in two pools), though nothing in it has been
// compared with the machine.
//
//   [pf.uplink]              # a name of the operator's choice: [a-z0-9][a-z0-9_-]*
//   address = "0000:01:00.0" # selectors: address, slot, mac (the permanent one), driver, vendor,
//                            # device; at least one; all given must match, on exactly one PF
//   vfs = 4                  # how many VFs are created, 1..65535
//   link_up = true           # set the PF's netdev up (VFs of igb and others need it)
//   mtu = 9000               # of the PF's netdev, which bounds that of its VFs
//   eswitch_mode = "switchdev" # or legacy; devlink-dev(8)
//
//   [pool.guests]
//   pf = "uplink"            # or ["uplink", "other"]
//   vfs = "0-3,5"            # indexes on each of these PFs; all when not given
//   backend = "auto"         # auto, iommufd, group
//   driver = "auto"          # auto: the best VFIO driver; else the driver's name
//   allow_users = ["alice", 1000]
//   allow_groups = ["kvm"]   # who may lease besides root
//   memlock_max = "4GiB"     # or a number of bytes, or "unlimited"; the machine's memory if absent
//   tenant_may_set = ["mac", "vlan", "qos", "vlan_protocol", "max_tx_rate"]
//   max_functions_per_user = 0 # 0: no quota
//   drift = "report"         # repair: restore what another program changed on an idle VF
//   reset = "required"       # if-available: lend functions that cannot be reset, too
//   msix_vectors = 16        # interrupts of each VF
//
//   [pool.guests.attributes] # what a VF has when the lease asks for nothing else
//   vlan = 100               # every attribute of nic/vf_attributes.hpp but addresses, by its name
//
//   [pool.guests.tenant_limits] # in which range a lease may set what it may set
//   vlan = ["100-199", 300]
//   mac = "52:54:00:*"
//   max_tx_rate = 1000       # at most, and not unlimited
//
// Value types; functions are pure but for reading the files and the user database. vfbroker.toml(5)
// documents the format for operators.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "nic/devlink.hpp"
#include "nic/vf_attributes.hpp"
#include "pci/address.hpp"

namespace vfb::broker {

inline constexpr const char* kConfigDirectory = "/etc/vfbroker";

// Where something stands; lines and columns count from 1.
struct Location {
    std::string file;
    unsigned line = 0;
    unsigned column = 0;
    bool operator==(const Location&) const = default;
    // `/etc/vfbroker/x.toml:12:7`; without a line, of the file as a whole, `/etc/vfbroker/x.toml`.
    [[nodiscard]] std::string str() const;
};

// Something that is wrong with the files.
struct Problem {
    Location where;
    std::string text;
    std::string hint;
    bool operator==(const Problem&) const = default;
};

// Where the values of a table stand, by their keys.
using Places = std::map<std::string, Location, std::less<>>;

// Which PF is meant. All that is set must match.
struct PfSelector {
    std::optional<pci::Address> address;
    std::optional<std::string> slot;     // as in bus/pci/slots
    std::optional<nic::MacAddress> mac;  // permanent MAC of its netdev
    std::optional<std::string> driver;
    std::optional<std::uint16_t> vendor;
    std::optional<std::uint16_t> device;
    bool operator==(const PfSelector&) const = default;
    [[nodiscard]] bool empty() const { return *this == PfSelector{}; }
    [[nodiscard]] std::string str() const;  // `address 0000:01:00.0, driver igb`
};

struct PfConfig {
    std::string name;
    PfSelector selector;
    unsigned vfs = 0;
    bool link_up = true;
    std::optional<std::uint32_t> mtu;              // bytes; absent: as it is
    std::optional<nic::EswitchMode> eswitch_mode;  // absent: as it is
    Location location;                             // of the table
    Places places;
    bool operator==(const PfConfig&) const = default;

    // Of a key, or of the table if that has no such key.
    [[nodiscard]] const Location& place_of(std::string_view key) const;
};

enum class BackendChoice { automatic, iommufd, group };
enum class ResetPolicy { required, if_available };
// What is done about changes that others make to VFs which nobody has leased.
enum class DriftPolicy { report, repair };
std::string_view to_string(DriftPolicy policy);    // `report`, `repair`
std::string_view to_string(BackendChoice choice);  // `auto`, `iommufd`, `group`
std::string_view to_string(ResetPolicy policy);    // `required`, `if-available`

inline constexpr std::uint64_t kUnlimited = UINT64_MAX;  // what RLIM_INFINITY is

// Which values of an attribute a lease may ask for.
struct TenantLimit {
    std::string attribute;
    std::vector<nic::ValueRange> ranges;  // ascending, none overlaps another, at least one
    bool operator==(const TenantLimit&) const = default;

    [[nodiscard]] bool allows(std::uint64_t value) const;  // as nic::value_number()
    [[nodiscard]] std::string str() const;                 // `100-199, 300`
};

struct PoolConfig {
    std::string name;
    std::vector<std::string> pfs;  // names of PfConfigs, as written
    // Indexes on each PF, ascending and unique; nullopt: all.
    std::optional<std::vector<unsigned>> vfs;
    BackendChoice backend = BackendChoice::automatic;
    std::optional<std::string> driver;  // nullopt: the best VFIO driver there is
    std::vector<uid_t> allow_users;     // ascending and unique
    std::vector<gid_t> allow_groups;
    // Bytes; kUnlimited; nullopt: the machine's memory.
    std::optional<std::uint64_t> memlock_max;
    std::vector<std::string> tenant_may_set = {"mac", "vlan", "qos", "vlan_protocol",
                                               "max_tx_rate"};
    std::vector<TenantLimit> tenant_limits;  // of attributes in tenant_may_set
    unsigned max_functions_per_user = 0;     // 0: no quota
    std::optional<unsigned> msix_vectors;    // of each VF; absent: as the driver has it
    ResetPolicy reset = ResetPolicy::required;
    DriftPolicy drift = DriftPolicy::report;
    nic::VfAttributes attributes;  // only what is set; overlay it on nic::safe_defaults()
    Location location;             // of the table
    Places places;                 // those of its attributes as `attributes.vlan`
    bool operator==(const PoolConfig&) const = default;

    // Of a key, or of the table if that has no such key.
    [[nodiscard]] const Location& place_of(std::string_view key) const;

    // Whether the function `index` of the PF named `pf` is in the pool.
    [[nodiscard]] bool contains(std::string_view pf, unsigned index) const;
    [[nodiscard]] bool tenant_may(std::string_view attribute) const;
    // nullptr: any value will do.
    [[nodiscard]] const TenantLimit* tenant_limit(std::string_view attribute) const;
};

// Who belongs to it may administer vfbrokerd as root may. The package makes it.
inline constexpr const char* kAdministrators = "vfbroker-admin";

// What files say, by their paths.
using ConfigTexts = std::map<std::string, std::string>;

struct Config {
    std::vector<PfConfig> pfs;  // in order of name
    std::vector<PoolConfig> pools;
    ConfigTexts files;  // that were read
    // The group kAdministrators; absent where there is none, or nobody could tell.
    std::optional<gid_t> administrators;
    bool operator==(const Config&) const = default;

    // nullptr when there is none of that name.
    [[nodiscard]] const PfConfig* find_pf(std::string_view name) const;
    [[nodiscard]] const PoolConfig* find_pool(std::string_view name) const;
    // The pool that the function is in, if any (at most one, by construction).
    [[nodiscard]] const PoolConfig* pool_of(std::string_view pf, unsigned index) const;
};

// Names of users and groups to ids. Tests bring their own.
class AccountResolver {
public:
    AccountResolver() = default;
    AccountResolver(const AccountResolver&) = delete;
    AccountResolver& operator=(const AccountResolver&) = delete;
    virtual ~AccountResolver() = default;
    // nullopt: no such account. An Error: the user database cannot be asked.
    [[nodiscard]] virtual Result<std::optional<uid_t>> uid_of(const std::string& user) const = 0;
    [[nodiscard]] virtual Result<std::optional<gid_t>> gid_of(const std::string& group) const = 0;
};
// getpwnam_r(3) and getgrnam_r(3). May ask the network (nsswitch.conf): not on the event loop.
const AccountResolver& system_accounts();

// No file of a configuration is larger: bytes.
inline constexpr std::size_t kLargestFile = std::size_t{1} << 20;

// What files are taken to say, whatever they say; nullopt: as if there were no such file.
using FileTexts = std::map<std::string, std::optional<std::string>>;  // by path or name

// A configuration, and all that is wrong with it, in the order in which one reads the files.
struct ConfigCheck {
    Config config;  // complete and consistent only without problems
    std::vector<Problem> problems;
};

// Reads all of it, whatever is wrong: a table that is no TOML is left out, and the others are
// looked at. Tables are compared with each other only when each is right by itself.
//
// A missing directory or one without `*.toml` is an empty Config: nothing is managed. What cannot
// be read (a file without permission, a folder in its place, one larger than kLargestFile) is a
// problem of that path without a line.
ConfigCheck check_config(const std::string& directory);
ConfigCheck check_config(const std::string& directory, const AccountResolver& accounts);

// check_config() where anything that is wrong is an error: Code::invalid with operation `read the
// configuration FILE:LINE:COLUMN`, and a hint where a key is misspelt. When several things are
// wrong, the first is the error and the others (up to 19) are in its chain of causes.
//
// Code::invalid for a file of `instead` that would not be read as part of the configuration.
Result<Config> load_config(const std::string& directory, const FileTexts& instead = {});
Result<Config> load_config(const std::string& directory, const AccountResolver& accounts,
                           const FileTexts& instead = {});
// The same of texts that were read before.
Result<Config> parse_config(const ConfigTexts& texts);
Result<Config> parse_config(const ConfigTexts& texts, const AccountResolver& accounts);
// One file's text; `file` is only for messages.
Result<Config> parse_config(std::string_view text, const std::string& file);
Result<Config> parse_config(std::string_view text, const std::string& file,
                            const AccountResolver& accounts);

}  // namespace vfb::broker
