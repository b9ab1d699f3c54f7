#!/usr/bin/env escript
%% Rows in an ETS table, then sorted lists of them.   table.erl ROWS WIDTH
main([A, B]) ->
    Rows = list_to_integer(A), Width = list_to_integer(B),
    Table = ets:new(rows, [ordered_set]),
    [ets:insert(Table, {I * 7919 rem 1000003, I, binary:copy(<<I:64>>, Width)}) || I <- lists:seq(1, Rows)],
    io:format("~p~n", [length(lists:sort(fun(X, Y) -> X > Y end, ets:select(Table, [{{'$1', '$2', '_'}, [], ['$2']}])))]).
