;;; A hash table that doubles when it is full.   table.lisp COUNT WIDTH
(let* ((given (mapcar #'parse-integer (rest *posix-argv*)))
       (table (make-hash-table :test 'equal)))
  (dotimes (i (first given))
    (setf (gethash (format nil "~36r" (* i 7919)) table)
          (make-string (second given) :element-type 'base-char :initial-element #\x)))
  (format t "~a~%" (hash-table-count table)))
