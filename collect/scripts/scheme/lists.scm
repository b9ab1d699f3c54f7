;; Lists of lists: growth under a moving collector.   lists.scm COUNT LENGTH
(define arguments (cdr (command-line)))
(define count (string->number (car arguments)))
(define len (string->number (cadr arguments)))
(let loop ((i 0) (held '()))
  (if (< i count)
      (loop (+ i 1) (cons (iota len i) held))
      (begin (display (length held)) (newline))))
