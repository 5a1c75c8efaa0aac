// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/change.hpp"

namespace vfb::broker {

std::string_view to_string(Change::Action action) {
    using Action = Change::Action;
    switch (action) {
        case Action::add:
            return "add";
        case Action::change:
            return "change";
        case Action::remove:
            return "remove";
    }
    return "change";
}

}  // namespace vfb::broker
