//! Narrower than a table: one customer's rows, averages without values.

use crate::demo::step::Says::{Err, Out};
use crate::demo::step::Step::Types;
use crate::demo::step::{Scene, types};

pub const SCENES: &[Scene] = &[
    Scene {
        title: "Support for one customer: their rows, and nobody else's",
        steps: &[
            Types(
                types("bob", "dbaccess login --no-browser")
                .claims("Bob is a colleague of Alice.", &[Err("logged in as bob@example.com")]),
            ),
            Types(
                types("bob", "dbaccess request prod-orders --row 'customers: id = 17' --table orders --follow --for \
30m --reason 'Ticket 340: customer 17 misses an order'")
                .claims("The orders follow their customer, by the foreign key.", &[
                    Out("public.customers where id = 17"),
                    Out("customer_id -> public.customers"),
                    Out("(auto-read)"),
                ]),
            ),
            Types(
                types("bob", "dbaccess connect prod-orders -- psql -c 'SELECT name, email, birthday FROM customers' -c \
'SELECT count(*), min(customer_id), max(customer_id) FROM orders'")
                .claims("Without a WHERE: the database knows no other customer for him.", &[
                    Out("***@example.com"),
                    Out("(1 row)"),
                    Out("4 |  17 |  17"),
                ]),
            ),
        ],
    },
    Scene {
        title: "Salaries: averages, and no single one",
        steps: &[
            Types(
                types("carol", "dbaccess request prod-orders --table hr.salaries --for 30m --reason 'Budget for next \
year'")
                .claims("Granted in a moment: it stays masked.", &[
                    Out("aggregate (groups of 10 and more)"),
                    Out("(auto-read)"),
                ]),
            ),
            Types(
                types("carol", "dbaccess connect prod-orders -- psql -c 'SELECT team, count(salary), avg(salary) FROM \
hr.salaries GROUP BY team ORDER BY team' -c \"SELECT 'plausible: ' || bool_and(pay \
BETWEEN 40000 AND 80000) FROM (SELECT avg(salary) AS pay FROM hr.salaries GROUP BY team) \
AS teams\"")
                .claims("What a team earns, with a little noise.", &[
                    Out("shop"),
                    Out("(3 rows)"),
                    Out("plausible: true"),
                ]),
            ),
        ],
    },
];
