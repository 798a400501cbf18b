# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_dbaccess_global_optspecs
    string join \n server= ca= h/help
end

function __fish_dbaccess_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_dbaccess_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_dbaccess_using_subcommand
    set -l cmd (__fish_dbaccess_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c dbaccess -n "__fish_dbaccess_needs_command" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_needs_command" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_needs_command" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "login" -d 'Log in with your browser: on this machine, or with a code on another'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "logout" -d 'Log out: the server forgets the token, and so does this machine'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "whoami" -d 'Show who you are to the server: teams, roles, login, delegations, and whether you are away'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "targets" -d 'List the databases you may ask for; with TARGET, its tables and columns'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "request" -d 'Ask for access: what, for how long, and why'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "requests" -d 'List requests: your own, and those that wait for you'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "show" -d 'Show one request: what was asked, what policy said, who approved, what is missing'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "approve" -d 'Approve a request, as asked or narrowed. Nobody approves their own'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "deny" -d 'Deny a request'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "cancel" -d 'Withdraw a request of yours that is still waiting'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "delegate" -d 'Let somebody approve in your name for a while'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "away" -d 'Say that you are away: you are told of no request until you are back'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "connect" -d 'Open a session and run psql in it, or COMMAND, or just hold it for a GUI'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "exec" -d 'Run SQL in a session of its own and print the result'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "migrate" -d 'Run the reviewed script of a request, exactly as it was approved'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "break-glass" -d 'In an incident: write to the service\'s whole database now, without waiting for anybody'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "confirm" -d 'Confirm a break-glass that the incident system could not: that there was such an incident'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "sessions" -d 'List sessions: who is in, where, on what scope, until when'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "revoke" -d 'Cut access now: a grant with all its sessions, one session, or a granted request'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "audit" -d 'Show the statements that were run: who, when, what, how it ended'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "replay" -d 'Play a session: what was run, when, and what came back'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "recording" -d 'Show what was recorded of a session, and make the key that recordings are sealed to'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "review" -d 'Review break-glass access after its end, and by campaigns who has which access'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "metrics" -d 'Show the metrics of privilege reduction: value, target, trend'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "scan" -d 'List the logins of a target\'s cluster that people could be using beside dbaccess'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "ledger" -d 'Check a copy of the ledger, without any server'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "retention" -d 'Show how long what is kept, what goes next, and what stays and why'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "hold" -d 'Keep what retention would take out, for as long as the law asks. For security and auditors'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "report" -d 'Make evidence for auditors, and check it on any machine'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "doctor" -d 'Check this machine, the way to the server, and the server\'s own findings'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "config" -d 'Show or change which server is used, and whom to trust'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "target" -d 'Prepare databases for dbaccess, and look after them'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "policy" -d 'Check the rules, ask why they decide as they do, and try others'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "server" -d 'Run the control plane and the gateway'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "demo" -d 'Try everything on this machine: a scratch PostgreSQL, an identity provider, sample data'
complete -c dbaccess -n "__fish_dbaccess_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand login" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand login" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand login" -l qr -d 'Show the address as a QR code too, to scan with a telephone'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand login" -l no-browser -d 'Do not open a browser; only print the address and the code'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand login" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand logout" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand logout" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand logout" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand whoami" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand whoami" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand whoami" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand whoami" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and not __fish_seen_subcommand_from describe help" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and not __fish_seen_subcommand_from describe help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and not __fish_seen_subcommand_from describe help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and not __fish_seen_subcommand_from describe help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and not __fish_seen_subcommand_from describe help" -a "describe" -d 'Show what you would see of a database, column by column: as it is, or masked and how'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and not __fish_seen_subcommand_from describe help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and __fish_seen_subcommand_from describe" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and __fish_seen_subcommand_from describe" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and __fish_seen_subcommand_from describe" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and __fish_seen_subcommand_from describe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and __fish_seen_subcommand_from help" -f -a "describe" -d 'Show what you would see of a database, column by column: as it is, or masked and how'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -s t -l table -d 'A table: name or schema.name; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l schema -d 'A whole schema; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l row -d 'Only rows that match, such as \'customers: tenant_id = 42\'; give it again for more tables' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l unmask -d 'See a classified column as it is: column, table.column or schema.table.column; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l migrate -d 'Ask to run this script, reviewed: its statements and nothing else' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l amend -d 'Put the script of --migrate in the place of the one that this request of yours waits with; approvals given so far are void' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l for -d 'For how long, such as 30m or 1h30m; the policy\'s usual window when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -s r -l reason -d 'Why; asked for on a terminal when left out or given without a value' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l incident -d 'The incident that it is about, for rules that weigh it: PD-… of PagerDuty, OG-… of Opsgenie' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l database -d 'Everything in the database, to write or to migrate; never what is meant by leaving tables and schemas out'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l follow -d 'Tables whose foreign keys lead to one with a condition show only the rows that belong to it'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l write -d 'Ask to write too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l ddl -d 'Ask to change the schema, with the rights of its owner'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -l export -d 'Ask to take rows out as a file'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -s w -l wait -d 'Wait until it is decided'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand requests" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand requests" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand requests" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand requests" -l mine -d 'Only your own'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand requests" -l all -d 'Finished ones too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand requests" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand show" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand show" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand show" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand show" -l script -d 'Print the script that it is to run, to the byte, and nothing else'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -l for -d 'Narrow the time, such as 30m' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -s t -l table -d 'Narrow the scope to this table; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -s s -l schema -d 'Narrow the scope to this schema; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -l comment -d 'A word for the record and the requester' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -l masked -d 'Keep every mask on, whatever was asked to be seen raw'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -s y -l yes -d 'Do not ask for confirmation'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand deny" -s r -l reason -d 'Why; the requester reads it. Asked for on a terminal when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand deny" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand deny" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand deny" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand deny" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand cancel" -s r -l reason -d 'A word for the record' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand cancel" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand cancel" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand cancel" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l role -d 'Only this role; give it again for more. All your approver roles when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l target -d 'Only for requests for this database; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l until -d 'Until when: 3d from now, 2026-12-24 (to the end of the day) or 2026-12-24T18:00' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -s r -l reason -d 'Why; asked for on a terminal when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l end -d 'End one before its time' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l list -d 'List them: yours, and those to you; everybody\'s for security and auditors'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -l all -d 'With --list: those that have ended, too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand delegate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -l until -d 'Until when: 3d from now, 2026-12-24 (to the end of the day) or 2026-12-24T18:00' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -l to -d 'Who approves for you: the e-mail address of somebody who has logged in here' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -s r -l reason -d 'A word for the record' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -l back -d 'You are back: what you said, and who approves for you, ends now'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -l list -d 'List who is away: you; everybody for security and auditors'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand away" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l grant -d 'The grant to use, by id or unique prefix, where several fit' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l listen -d 'Run nothing: hold the session on this local port (or a free one) until Ctrl-C' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l native -d 'Use the server\'s own PostgreSQL endpoint instead of a local tunnel'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l detach -d 'Print where to connect and return; the session lasts until its window ends or it is revoked'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l print-env -d 'Print export lines for `eval "$(…)"`; a process of ours holds the session in the background'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -l holder -d 'The background process of --print-env'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -l grant -d 'The grant to use, by id or unique prefix, where several fit' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -l export -d 'Write the rows of one query to a new file that only you can read' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -l format -d 'How the file is written: csv with a header, or PostgreSQL\'s own text' -r -f -a "csv\t''
text\t''"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -l force -d 'Replace the file if there is one'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -l lock-timeout -d 'How long a statement waits for a lock, while others wait behind it' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -l statement-timeout -d 'How long a statement may run; the server\'s usual limit when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -l from -d 'Where nobody can tell how far an earlier run came: go on at this statement, after you have looked at the database' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -l dry-run -d 'Say in which pieces it would run and what may go wrong, and run nothing; also before it is approved, for who decides about it'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -l incident -d 'The incident: PD-… of PagerDuty, OG-… of Opsgenie' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -s r -l reason -d 'What you are going to do; asked for on a terminal when left out or given without a value' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -l unmask -d 'See a classified column as it is: column, table.column or schema.table.column; give it again for more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand break-glass" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand confirm" -l comment -d 'A word for the record' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand confirm" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand confirm" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand confirm" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand confirm" -s y -l yes -d 'Do not ask for confirmation'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand sessions" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand sessions" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand sessions" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand sessions" -l mine -d 'Only your own'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand sessions" -l all -d 'Ended ones too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand sessions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand revoke" -s r -l reason -d 'A word for the record' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand revoke" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand revoke" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand revoke" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l person -d 'Of this person, by e-mail address' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l team -d 'Of this team\'s members, as the teams were when they asked for access' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l target -d 'On this target' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l environment -d 'On targets that were production, staging or development' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l table -d 'That name this table, TABLE or SCHEMA.TABLE, to read or to change it' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l sensitivity -d 'That name classified columns which their grant showed unmasked: pii, financial, health, secret, any; unknown where the grant is not on record' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l verb -d 'That are, or hold, such a command: select, delete, "copy to", …' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l export -d 'That took data out: by COPY, or as a result of so many rows and more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l rows -d 'That returned or changed so many rows and more' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l result -d 'That ended so: ok, failed, refused, cut, skipped, unknown, running; or ran, for all that reached the database' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l text -d 'Whose text has this in it; ASCII letters in any case' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l grant -d 'Under this grant, by id or unique prefix' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l session -d 'Of this session, by id or unique prefix' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l incident -d 'Under break-glass for this incident' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l since -d 'Since then: a length of time back (90d), a day (2026-11-01), a time, or today, week, month, quarter, year: since its beginning' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l between -d 'From one time up to another; a day as the second counts with all its hours' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l before -d 'Older than this place in the ledger: what a page said to go on with' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l count-by -d 'Count them by person, team, target, environment, table, sensitivity, verb, export, grant, session, incident, result or day' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l limit -d 'At most so many lines' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l parquet -d 'Write all that fit to a new Parquet file that only you can read' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l force -d 'Replace the file if there is one'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -l follow -d 'Go on until Ctrl-C with what comes: from now, or from --since'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -f -a "compare" -d 'Did it run the approved script? Statement by statement'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -f -a "unseal" -d 'Read what redacted statements left out: two auditors decide'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and not __fish_seen_subcommand_from compare unseal help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from compare" -l script -d 'Compare with this file in place of the request\'s script' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from compare" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from compare" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from compare" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from compare" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -f -a "request" -d 'Ask for the originals of a session\'s statements, or of single ones'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -f -a "list" -d 'List what waits for a second auditor, and what can be opened'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -f -a "approve" -d 'Agree, as the second auditor'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -f -a "deny" -d 'Refuse it, or withdraw your own'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -f -a "open" -d 'Show the originals of an approved one. That you did is on the ledger'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from unseal" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "compare" -d 'Did it run the approved script? Statement by statement'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "unseal" -d 'Read what redacted statements left out: two auditors decide'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l html -d 'Write a page for a browser, which holds all it needs' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l cast -d 'Write an asciicast, for asciinema' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l speed -d 'How fast: 2 is twice as fast as it was' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l idle-limit -d 'The longest pause that is played; `off` plays them as they were' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l key -d 'The auditor\'s private key, where recordings are sealed' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l ledger -d 'A copy of the ledger, in place of the server\'s' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and not __fish_seen_subcommand_from show keygen help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and not __fish_seen_subcommand_from show keygen help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and not __fish_seen_subcommand_from show keygen help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and not __fish_seen_subcommand_from show keygen help" -f -a "show" -d 'Show the statements of a recorded session with the rows that it saw'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and not __fish_seen_subcommand_from show keygen help" -f -a "keygen" -d 'Make a key pair: the private key to FILE, the public one to stdout'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and not __fish_seen_subcommand_from show keygen help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from show" -l key -d 'The auditor\'s private key, where recordings are sealed' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from show" -l ledger -d 'With a file: a copy of the ledger to compare it with' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from show" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from show" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from keygen" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from keygen" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from keygen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the statements of a recorded session with the rows that it saw'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from help" -f -a "keygen" -d 'Make a key pair: the private key to FILE, the public one to stdout'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand recording; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -f -a "list" -d 'List the reviews that somebody owes, the first due first'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -f -a "show" -d 'Show what was done: sessions, statements and how they ended, what they wrote and read'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -f -a "write" -d 'Write what you found. It cannot be changed afterwards, only added to'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -f -a "campaign" -d 'Review who can get what, who got it, and what was used; certify, narrow or revoke line by line'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and not __fish_seen_subcommand_from list show write campaign help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from list" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from list" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from list" -l all -d 'Written ones too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from show" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from show" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -l verdict -d 'Whether the incident needed what was done: justified or unjustified' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -l finding -d 'What you found' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -l action -d 'What is to be done about it; may be given several times' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from write" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "start" -d 'Start a review over a quarter, or any other period. For security and admins'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "list" -d 'List the campaigns that wait for decisions or a signature'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "show" -d 'Show a campaign\'s lines: what each person can get, got and used, and what was decided'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "decide" -d 'Decide lines: what is narrowed or revoked is taken away at once'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "sign" -d 'Sign a campaign whose lines are all decided'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "bars" -d 'List what reviews took from whom'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "lift" -d 'Give back what a review took, before the next one. For security'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from campaign" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the reviews that somebody owes, the first due first'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what was done: sessions, statements and how they ended, what they wrote and read'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from help" -f -a "write" -d 'Write what you found. It cannot be changed afterwards, only added to'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from help" -f -a "campaign" -d 'Review who can get what, who got it, and what was used; certify, narrow or revoke line by line'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand review; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand metrics" -l since -d 'Over how long, up to now: such as 24h, 30d or 365d' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand metrics" -l metric -d 'Show one of them whole, with the sessions or requests behind it: such as R10.3' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand metrics" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand metrics" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand metrics" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand scan" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand scan" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand scan" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and not __fish_seen_subcommand_from verify help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and not __fish_seen_subcommand_from verify help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and not __fish_seen_subcommand_from verify help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and not __fish_seen_subcommand_from verify help" -f -a "verify" -d 'Check that a ledger is whole: no line edited, removed, added or moved'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and not __fish_seen_subcommand_from verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l key -d 'The public key that must have signed it; without one, compare the key that is shown' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from verify" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from verify" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check that a ledger is whole: no line edited, removed, added or moved'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand ledger; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand retention" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand retention" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand retention" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand retention" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -f -a "place" -d 'Place a hold: the statements and recordings of the sessions that it covers stay'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -f -a "list" -d 'List the holds that last'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -f -a "release" -d 'End a hold: what it alone has kept goes with the next run of retention'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and not __fish_seen_subcommand_from place list release help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l person -d 'Sessions of this person, by e-mail address' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l target -d 'Sessions on this database' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l session -d 'This session, by id or unique prefix' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l incident -d 'Sessions under break-glass for this incident' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l between -d 'Sessions that lived between two times; a day as the second counts with all its hours' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -s r -l reason -d 'Why; asked for on a terminal when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from place" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from list" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from list" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from list" -l all -d 'Those that were released, too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from release" -s r -l reason -d 'Why; asked for on a terminal when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from release" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from release" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from release" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from help" -f -a "place" -d 'Place a hold: the statements and recordings of the sessions that it covers stay'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the holds that last'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from help" -f -a "release" -d 'End a hold: what it alone has kept goes with the next run of retention'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand hold; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and not __fish_seen_subcommand_from evidence verify help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and not __fish_seen_subcommand_from evidence verify help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and not __fish_seen_subcommand_from evidence verify help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and not __fish_seen_subcommand_from evidence verify help" -f -a "evidence" -d 'Make a signed bundle of evidence for an interval'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and not __fish_seen_subcommand_from evidence verify help" -f -a "verify" -d 'Check a bundle of evidence, without any server'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and not __fish_seen_subcommand_from evidence verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from evidence" -l framework -d 'Whose controls' -r -f -a "soc2\t''
iso27001\t''
hipaa\t''
pci\t''
nist\t''
all\t''"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from evidence" -l between -d 'From a day, a time or a length of time back (90d), to another; the last day counts whole; days are UTC' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from evidence" -l file -d 'Where it goes; it must not exist' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from evidence" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from evidence" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from evidence" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from verify" -l key -d 'The public key that must have signed it; without one, compare the key that is shown' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from verify" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from verify" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from verify" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from help" -f -a "evidence" -d 'Make a signed bundle of evidence for an interval'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check a bundle of evidence, without any server'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand report; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand doctor" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand doctor" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand doctor" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -f -a "get" -d 'Show the settings in force, or one of them'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -f -a "set" -d 'Set one; an empty value removes it'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -f -a "path" -d 'Show where the file is'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and not __fish_seen_subcommand_from get set path help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from get" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from get" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from set" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from set" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from path" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from path" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from path" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "get" -d 'Show the settings in force, or one of them'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "set" -d 'Set one; an empty value removes it'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "path" -d 'Show where the file is'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand completions" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand completions" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "setup" -d 'Install what the server needs in a target, or print it for a DBA to run'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "classify" -d 'Propose which columns are sensitive, and write what you accept into the configuration'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "check" -d 'Check what escapes a target\'s classification, or could'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "suspend" -d 'Make way for a deploy: no masked or filtered table is in use until it is over'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "resume" -d 'Let sessions with masked or filtered tables open again'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "rotate-tokens" -d 'Give tokens new keys: those that were seen before lead nowhere from now on'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and not __fish_seen_subcommand_from setup classify check suspend resume rotate-tokens help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -l config -d 'The server\'s configuration file' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -l admin -d 'The administrator to connect as; the password comes from PGPASSWORD or a prompt' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -l print -d 'Print the SQL instead of running it'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -l remove -d 'Take everything of dbaccess out of the target again, roles of sessions included'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from setup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -l config -d 'The server\'s configuration file' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -l sample -d 'How many rows of a table to look at; with 0 only names and types are' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -l unsure -d 'Accept weak hints too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -s y -l yes -d 'Accept without asking'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from classify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from check" -l config -d 'The server\'s configuration file' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from check" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from check" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from check" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from suspend" -l for -d 'For how long at most, such as 30m or 1h30m; 4h is the longest' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from suspend" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from suspend" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from suspend" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from suspend" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from resume" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from resume" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from resume" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from rotate-tokens" -l domain -d 'Only the tokens of this domain' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from rotate-tokens" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from rotate-tokens" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from rotate-tokens" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from rotate-tokens" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "setup" -d 'Install what the server needs in a target, or print it for a DBA to run'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "classify" -d 'Propose which columns are sensitive, and write what you accept into the configuration'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check what escapes a target\'s classification, or could'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "suspend" -d 'Make way for a deploy: no masked or filtered table is in use until it is over'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "resume" -d 'Let sessions with masked or filtered tables open again'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "rotate-tokens" -d 'Give tokens new keys: those that were seen before lead nowhere from now on'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand target; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "check" -d 'Check rules before a server uses them; no server is needed'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "explain" -d 'Say why a request was decided as it was, rule by rule'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "replay" -d 'Decide every past request again by other rules, and say what would change'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "suggest" -d 'Propose rules that would have spared people the glass, or a long wait'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "reload" -d 'Let the server read the policy\'s files again'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "init" -d 'Write a first server configuration, from a short interview'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and not __fish_seen_subcommand_from check explain replay suggest reload init help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -l config -d 'The server\'s configuration file, for its targets, teams and roles' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -l tests -d 'Sample requests with what is expected of them' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -l with-default -d 'Put the default policy after FILE…, as `extra` of the configuration does'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from explain" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from explain" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from explain" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from explain" -l all -d 'Show the rules that missed by far, too'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from replay" -l since -d 'How far back, such as 90d' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from replay" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from replay" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from replay" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from replay" -l with-default -d 'Put the default policy after FILE…, as `extra` of the configuration does'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l since -d 'How far back' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l slow -d 'From how long a wait on an approval was slow' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l at-least -d 'How often something must have happened' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from suggest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from reload" -s o -l output -d 'How to print the result' -r -f -a "table\t'For people; fits the terminal'
json\t'For programs; the keys are stable'
csv\t'For spreadsheets (RFC 4180)'"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from reload" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from reload" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l directory -d 'Where to write' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l public-url -d 'How people will reach the server, such as https://dbaccess.example.com:7443' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l issuer -d 'The identity provider\'s issuer URL' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l client-id -d 'The client\'s id at the identity provider' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l team -d 'The team that owns the first database' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l team-group -d 'The identity provider\'s group whose members are that team' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l lead-group -d 'The group of team leads' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l manager-group -d 'The group of managers' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l security-group -d 'The group of the security team' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l timezone -d 'The time zone of business hours, such as Europe/Berlin' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l from -d 'When business hours begin, on weekdays' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l to -d 'When they end' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l target -d 'What the first database will be called' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l host -d 'The host of its PostgreSQL server' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l port -d 'The port of its PostgreSQL server' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l database -d 'The database\'s name there' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l environment -d 'Where it stands' -r -f -a "production\t''
staging\t''
development\t''"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l service -d 'The service that it belongs to: incidents of that service can break the glass' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l tls-certificate -d 'The server\'s certificate' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l tls-key -d 'The certificate\'s private key' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l data-dir -d 'Where the server keeps its state and ledger' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l read-at-once -d 'Whether members of the owning team read masked production data at once, in business hours' -r -f -a "yes\t''
no\t''"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l write-at-night -d 'Whether production may be written outside business hours, with approval' -r -f -a "yes\t''
no\t''"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check rules before a server uses them; no server is needed'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Say why a request was decided as it was, rule by rule'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "replay" -d 'Decide every past request again by other rules, and say what would change'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "suggest" -d 'Propose rules that would have spared people the glass, or a long wait'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "reload" -d 'Let the server read the policy\'s files again'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "init" -d 'Write a first server configuration, from a short interview'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand server" -l config -d 'The server\'s configuration file' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand server" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand server" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand server" -l check -d 'Check the configuration, say what is wrong with it, and stop'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand server" -s h -l help -d 'Print help'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand demo" -l port -d 'Port of the demo\'s server on 127.0.0.1; a free one when left out' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand demo" -l server -d 'Address of another dbaccess server than the configured one, such as https://dbaccess.example.com' -r
complete -c dbaccess -n "__fish_dbaccess_using_subcommand demo" -l ca -d 'PEM file with one more certificate authority to trust, in place of the configured one' -r -F
complete -c dbaccess -n "__fish_dbaccess_using_subcommand demo" -l once -d 'Stop after the story; exit code 0 only if every step did what it claims'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand demo" -l no-story -d 'Do not play the story; only set everything up'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "login" -d 'Log in with your browser: on this machine, or with a code on another'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "logout" -d 'Log out: the server forgets the token, and so does this machine'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "whoami" -d 'Show who you are to the server: teams, roles, login, delegations, and whether you are away'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "targets" -d 'List the databases you may ask for; with TARGET, its tables and columns'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "request" -d 'Ask for access: what, for how long, and why'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "requests" -d 'List requests: your own, and those that wait for you'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "show" -d 'Show one request: what was asked, what policy said, who approved, what is missing'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "approve" -d 'Approve a request, as asked or narrowed. Nobody approves their own'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "deny" -d 'Deny a request'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "cancel" -d 'Withdraw a request of yours that is still waiting'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "delegate" -d 'Let somebody approve in your name for a while'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "away" -d 'Say that you are away: you are told of no request until you are back'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "connect" -d 'Open a session and run psql in it, or COMMAND, or just hold it for a GUI'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "exec" -d 'Run SQL in a session of its own and print the result'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "migrate" -d 'Run the reviewed script of a request, exactly as it was approved'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "break-glass" -d 'In an incident: write to the service\'s whole database now, without waiting for anybody'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "confirm" -d 'Confirm a break-glass that the incident system could not: that there was such an incident'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "sessions" -d 'List sessions: who is in, where, on what scope, until when'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "revoke" -d 'Cut access now: a grant with all its sessions, one session, or a granted request'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "audit" -d 'Show the statements that were run: who, when, what, how it ended'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "replay" -d 'Play a session: what was run, when, and what came back'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "recording" -d 'Show what was recorded of a session, and make the key that recordings are sealed to'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "review" -d 'Review break-glass access after its end, and by campaigns who has which access'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "metrics" -d 'Show the metrics of privilege reduction: value, target, trend'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "scan" -d 'List the logins of a target\'s cluster that people could be using beside dbaccess'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "ledger" -d 'Check a copy of the ledger, without any server'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "retention" -d 'Show how long what is kept, what goes next, and what stays and why'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "hold" -d 'Keep what retention would take out, for as long as the law asks. For security and auditors'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "report" -d 'Make evidence for auditors, and check it on any machine'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "doctor" -d 'Check this machine, the way to the server, and the server\'s own findings'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "config" -d 'Show or change which server is used, and whom to trust'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "target" -d 'Prepare databases for dbaccess, and look after them'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "policy" -d 'Check the rules, ask why they decide as they do, and try others'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "server" -d 'Run the control plane and the gateway'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "demo" -d 'Try everything on this machine: a scratch PostgreSQL, an identity provider, sample data'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and not __fish_seen_subcommand_from login logout whoami targets request requests show approve deny cancel delegate away connect exec migrate break-glass confirm sessions revoke audit replay recording review metrics scan ledger retention hold report doctor config completions target policy server demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from targets" -f -a "describe" -d 'Show what you would see of a database, column by column: as it is, or masked and how'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "compare" -d 'Did it run the approved script? Statement by statement'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "unseal" -d 'Read what redacted statements left out: two auditors decide'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from recording" -f -a "show" -d 'Show the statements of a recorded session with the rows that it saw'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from recording" -f -a "keygen" -d 'Make a key pair: the private key to FILE, the public one to stdout'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from review" -f -a "list" -d 'List the reviews that somebody owes, the first due first'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from review" -f -a "show" -d 'Show what was done: sessions, statements and how they ended, what they wrote and read'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from review" -f -a "write" -d 'Write what you found. It cannot be changed afterwards, only added to'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from review" -f -a "campaign" -d 'Review who can get what, who got it, and what was used; certify, narrow or revoke line by line'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from ledger" -f -a "verify" -d 'Check that a ledger is whole: no line edited, removed, added or moved'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from hold" -f -a "place" -d 'Place a hold: the statements and recordings of the sessions that it covers stay'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from hold" -f -a "list" -d 'List the holds that last'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from hold" -f -a "release" -d 'End a hold: what it alone has kept goes with the next run of retention'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from report" -f -a "evidence" -d 'Make a signed bundle of evidence for an interval'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from report" -f -a "verify" -d 'Check a bundle of evidence, without any server'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "get" -d 'Show the settings in force, or one of them'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "set" -d 'Set one; an empty value removes it'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "path" -d 'Show where the file is'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from target" -f -a "setup" -d 'Install what the server needs in a target, or print it for a DBA to run'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from target" -f -a "classify" -d 'Propose which columns are sensitive, and write what you accept into the configuration'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from target" -f -a "check" -d 'Check what escapes a target\'s classification, or could'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from target" -f -a "suspend" -d 'Make way for a deploy: no masked or filtered table is in use until it is over'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from target" -f -a "resume" -d 'Let sessions with masked or filtered tables open again'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from target" -f -a "rotate-tokens" -d 'Give tokens new keys: those that were seen before lead nowhere from now on'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "check" -d 'Check rules before a server uses them; no server is needed'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "explain" -d 'Say why a request was decided as it was, rule by rule'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "replay" -d 'Decide every past request again by other rules, and say what would change'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "suggest" -d 'Propose rules that would have spared people the glass, or a long wait'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "reload" -d 'Let the server read the policy\'s files again'
complete -c dbaccess -n "__fish_dbaccess_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "init" -d 'Write a first server configuration, from a short interview'

complete -c dbaccess -n "__fish_dbaccess_using_subcommand targets" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_seen_subcommand_from describe" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_seen_subcommand_from suspend" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_seen_subcommand_from resume" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_seen_subcommand_from rotate-tokens" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand request" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand connect" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand exec" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand scan" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand doctor" -f -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand show" -f -a "(dbaccess complete requests 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand approve" -f -a "(dbaccess complete requests 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand deny" -f -a "(dbaccess complete requests 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand cancel" -f -a "(dbaccess complete requests 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand revoke" -f -a "(dbaccess complete revocable 2>/dev/null)"
complete -c dbaccess -n "__fish_dbaccess_using_subcommand replay" -f -a "(dbaccess complete played 2>/dev/null)"
complete -c dbaccess -n "__fish_seen_subcommand_from campaign; and __fish_seen_subcommand_from show decide sign" -f -a "(dbaccess complete campaigns 2>/dev/null)"
complete -c dbaccess -l grant -x -a "(dbaccess complete grants 2>/dev/null)"
complete -c dbaccess -l session -x -a "(dbaccess complete sessions 2>/dev/null)"
complete -c dbaccess -l target -x -a "(dbaccess complete targets 2>/dev/null)"
complete -c dbaccess -l end -x -a "(dbaccess complete delegations 2>/dev/null)"
