create table squares(class, value);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
insert into squares select i % 7, i * i from n;
select class, count(*), sum(value) from squares group by class;
