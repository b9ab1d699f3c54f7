% Breadth first: the queue of states grows with each level.   search.pl LIMIT
main :- current_prolog_flag(argv, Given), append(_, [A], Given), !, atom_number(A, Limit),
    walk([s(1, [])], [], Limit, 0, N), writeln(N).
walk([], [], _, N, N) :- !.
walk([], Next, Limit, N, R) :- !, reverse(Next, Now), walk(Now, [], Limit, N, R).
walk(_, _, Limit, N, N) :- N >= Limit, !.
walk([s(X, P) | Rest], Next, Limit, N, R) :- Y is (X * 3 + 1) mod 1000003, Z is (X * 5 + 2) mod 1000003, N1 is N + 1,
    walk(Rest, [s(Z, [X | P]), s(Y, [X | P]) | Next], Limit, N1, R).
:- initialization(main, main).
