// SPDX-License-Identifier: GPL-2.0-or-later
//
// Change: one thing that a configuration asks for and that is not so yet.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/model.hpp"
#include "pci/address.hpp"

namespace vfb::broker {

struct Change {
    enum class Action { add, change, remove };
    Action action = Action::change;
    std::string subject;  // a PF `uplink`, a slot `uplink/0`, a pool `guests`
    std::optional<SlotKey> slot;
    std::optional<pci::Address> address;  // where that is now
    std::string property;                 // `vfs`, `link_up`, `pool`, `driver`, an attribute, ...
    std::string from;                     // empty: it was not there
    std::string to;                       // empty: it will not be there
    std::string text;                     // all of that in words: `vlan 0 -> 100`
};
std::string_view to_string(Change::Action action);  // `add`, `change`, `remove`

}  // namespace vfb::broker
