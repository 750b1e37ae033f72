//! Days and dates of the Gregorian calendar.
//!
//! Both ways count from March: the leap day is then the last of its year, and of every cycle of years.

/// Days from 0000-03-01 to 1970-01-01.
pub(crate) const TO_1970: u32 = 719_468;

/// Days from 0000-03-01 to a date. `month` counts from March, which is 0: January and February belong to the year before.
pub(crate) fn days(year: u32, month: u32, day: u32) -> u32 {
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
pub(crate) fn of_days(days: u32) -> (u32, u32, u32) {
    const DAYS_IN_400_YEARS: u32 = 146_097;
    // Counted from 0000-03-01: the leap day is then the last of its year, and of every cycle.
    let days = days + TO_1970;
    let cycle = days / DAYS_IN_400_YEARS;
    let day_of_cycle = days % DAYS_IN_400_YEARS;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / (DAYS_IN_400_YEARS - 1)) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months from March on have 153 days in five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = 400 * cycle + year_of_cycle + u32::from(month <= 2);
    (year, month, day)
}
