define internal preserve_nonecc void @region_c0014954(ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias) nounwind noimplicitfloat {
  %r25 = alloca i32
  %r7 = alloca i32
  %fcc5 = alloca i32
  %r25.at.329 = getelementptr i8, ptr %state, i64 100
  %r25.in.330 = load i32, ptr %r25.at.329, align 4
  store i32 %r25.in.330, ptr %r25
  %r7.at.331 = getelementptr i8, ptr %state, i64 28
  %r7.in.332 = load i32, ptr %r7.at.331, align 4
  store i32 %r7.in.332, ptr %r7
  %fcc5.at.339 = getelementptr i8, ptr %state, i64 413
  %fcc5.in.340 = load i8, ptr %fcc5.at.339, align 1
  %fcc5.wide.341 = zext i8 %fcc5.in.340 to i32
  store i32 %fcc5.wide.341, ptr %fcc5
  %entry.number = ptrtoint ptr %next to i64
  switch i64 %entry.number, label %block_c0014954 [  ]
block_c0014940:
  %slot.at.1 = getelementptr i8, ptr %memory, i64 5243096
  %slot.2 = load i64, ptr %slot.at.1
  br label %fast.5
fast.5:
  %add.10 = add i64 %slot.2, 2684465648
  %host.11 = inttoptr i64 %add.10 to ptr
  %load.12 = load i32, ptr %host.11, align 1
  %r7.13 = load i32, ptr %r7
  %and.14 = and i32 %r7.13, 0
  %or.15 = or i32 %and.14, %load.12
  store i32 %or.15, ptr %r7
  %slot.at.16 = getelementptr i8, ptr %memory, i64 5243096
  %slot.17 = load i64, ptr %slot.at.16
  %eq.18 = icmp eq i64 %slot.17, 0
  br i1 %eq.18, label %slow.19, label %fast.20, !prof !0
slow.19:
  br label %exit_to_leave_region_access
fast.20:
  %add.25 = add i64 %slot.17, 2684465648
  %host.26 = inttoptr i64 %add.25 to ptr
  %load.27 = load i32, ptr %host.26, align 1
  %and.28 = and i32 %or.15, 4278190080
  %lshr.29 = lshr i32 %load.27, 8
  %or.30 = or i32 %and.28, %lshr.29
  store i32 %or.30, ptr %r7
  %slot.at.31 = getelementptr i8, ptr %memory, i64 5243096
  %slot.32 = load i64, ptr %slot.at.31
  %eq.33 = icmp eq i64 %slot.32, 0
  br i1 %eq.33, label %slow.34, label %fast.35, !prof !0
slow.34:
  br label %exit_to_leave_region_access
fast.35:
  %add.40 = add i64 %slot.32, 2684465648
  %host.41 = inttoptr i64 %add.40 to ptr
  %load.42 = load i32, ptr %host.41, align 1
  %and.43 = and i32 %or.30, 4294901760
  %lshr.44 = lshr i32 %load.42, 16
  %or.45 = or i32 %and.43, %lshr.44
  store i32 %or.45, ptr %r7
  br label %to_c0014954.48
to_c0014954.48:
  br label %block_c0014954
block_c0014954:
  %r25.56 = load i32, ptr %r25
  %add.57 = add i32 %r25.56, 4294958152
  %and.58 = and i32 %add.57, 3
  %shl.59 = shl i32 %and.58, 3
  %and.60 = and i32 %add.57, 4294967292
  %lshr.61 = lshr i32 %and.60, 12
  %zext.62 = zext i32 %lshr.61 to i64
  %shl.63 = shl i64 %zext.62, 3
  %slot.at.64 = getelementptr i8, ptr %memory, i64 %shl.63
  %slot.65 = load i64, ptr %slot.at.64
  br label %fast.68
fast.68:
  %zext.72 = zext i32 %and.60 to i64
  %add.73 = add i64 %slot.65, %zext.72
  %host.74 = inttoptr i64 %add.73 to ptr
  %load.75 = load i32, ptr %host.74, align 1
  %r7.76 = load i32, ptr %r7
  %lshr.77 = lshr i32 4294967295, %shl.59
  %xor.78 = xor i32 %lshr.77, 4294967295
  %and.79 = and i32 %r7.76, %xor.78
  %lshr.80 = lshr i32 %load.75, %shl.59
  %or.81 = or i32 %and.79, %lshr.80
  store i32 %or.81, ptr %r7
  br label %usable.84
usable.84:
  br label %check.98
check.98:
  br label %some_nan.96
some_nan.96:
  br label %no_nan.97
no_nan.97:
  br label %block_c001496c
block_c001496c:
  br label %usable.129
usable.129:
  %fcc5.134 = load i32, ptr %fcc5
  %trunc.135 = trunc i32 %fcc5.134 to i1
  br i1 %trunc.135, label %taken.136, label %nullified.137
nullified.137:
  br label %block_c0014974
taken.136:
  br label %block_c0014940
block_c0014974:
  br label %exit_to_leave_region_access
exit_to_leave_region_access:
  %r7.out.263 = load i32, ptr %r7
  %r7.at.264 = getelementptr i8, ptr %state, i64 28
  store i32 %r7.out.263, ptr %r7.at.264, align 4
  ret void
}
define preserve_nonecc void @region_c0014954_entry_c0014954(ptr %state, ptr %memory, ptr %handlers, ptr %entry, ptr %next, i64 %bias) nounwind {
  unreachable
}
!0 = !{!"branch_weights", i32 1, i32 2000}
