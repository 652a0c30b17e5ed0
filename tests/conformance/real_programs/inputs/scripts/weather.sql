.mode csv
.import weather.csv weather
select station, max(rain + 0), printf('%.3f', avg(temperature)) from weather group by station;
pragma integrity_check;
