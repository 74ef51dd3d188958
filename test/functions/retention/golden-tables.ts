import type { LegalHold, OpenIncident, RunningWork } from '../../../functions/contracts/retention.ts';
import type { PointRules } from '../../../functions/retention/plan-retention.ts';

/**
 * One table of the planner. A row is `ID FACTS -> keep|past|delete REASONS`. Facts: `good` or `incomplete`, `doubted`, `passed` or
 * `failed` (in the order of the ledger's entries), `inconclusive`, each with `?` where its record is not there, `in:oak+elm`
 * (schools), `in:?`, `closed:ID` (when, by its root manifest). `past` is kept by what outlasts the rules alone. Reasons are as the
 * test abbreviates them.
 */
export interface GoldenTable {
  /** The tool and the number of the thread where the fault was seen, or what the table is about. */
  readonly from: string;
  readonly what: string;
  readonly rules: PointRules | null;
  readonly now: string;
  readonly rows: string;
  readonly holds?: readonly LegalHold[];
  readonly incidents?: readonly OpenIncident[];
  readonly running?: readonly RunningWork[];
}

const byAge = (maximumDays: number, incompleteDays = 7): PointRules => ({ maximumDays, incompleteDays, keep: null });
const keeping = (keep: NonNullable<PointRules['keep']>, maximumDays = 3650): PointRules => ({
  maximumDays,
  incompleteDays: 7,
  keep,
});

const FIVE_YEARS_LATER = '2031-01-01T12:00:00.000Z';
const hold = (scope: LegalHold['scope']): LegalHold => ({ holdId: 'h1', scope });

export const GOLDEN_TABLES: readonly GoldenTable[] = [
  // Faults of other tools.
  {
    from: 'restic 2233',
    what: 'each day at the clock change in spring has its own',
    rules: keeping({ daily: 2 }),
    now: '2019-04-20T12:00:00.000Z',
    rows: `
      20190329t000200z good -> delete beyond-daily:2019-03-29
      20190330t000200z good -> keep daily:2019-03-30
      20190331t000200z good -> keep daily:2019-03-31 newest-good`,
  },
  {
    from: 'restic 2233',
    what: 'a day that begins in the hour before UTC’s, in summer, is the day in London',
    rules: keeping({ daily: 3 }),
    now: '2019-04-20T12:00:00.000Z',
    rows: `
      20190330t000200z good -> keep daily:2019-03-30
      20190331t000200z good -> keep daily:2019-03-31
      20190331t230200z good -> keep daily:2019-04-01 newest-good`,
  },
  {
    from: 'restic 2233',
    what: 'the day of 25 hours is one day, and both half past ones are of it',
    rules: keeping({ daily: 2 }),
    now: '2026-11-20T12:00:00.000Z',
    rows: `
      20261024t230000z good -> delete taken-daily:2026-10-25
      20261025t003000z good -> delete taken-daily:2026-10-25
      20261025t013000z good -> delete taken-daily:2026-10-25
      20261025t235959z good -> keep daily:2026-10-25
      20261026t000000z good -> keep daily:2026-10-26 newest-good`,
  },
  {
    from: 'restic 4415',
    what: 'a run scheduled for midnight of the first is of that month, in winter',
    rules: keeping({ monthly: 3 }),
    now: '2027-03-20T12:00:00.000Z',
    rows: `
      20270131t230000z good -> keep monthly:2027-01
      20270201t000000z good -> delete taken-monthly:2027-02
      20270228t230000z good -> keep monthly:2027-02
      20270301t000000z good -> keep monthly:2027-03 newest-good`,
  },
  {
    from: 'restic 4415',
    what: 'a run scheduled for midnight of the first is of that month, in summer, when UTC still has the month before',
    rules: keeping({ monthly: 2 }),
    now: '2027-08-20T12:00:00.000Z',
    rows: `
      20270630t225900z good -> keep monthly:2027-06
      20270630t230000z good -> keep monthly:2027-07 newest-good`,
  },
  {
    from: 'restic 4415',
    what: 'a run scheduled for a minute before midnight of the 31st is of that month, whenever it ran',
    rules: keeping({ monthly: 2 }),
    now: '2027-06-20T12:00:00.000Z',
    rows: `
      20270430t225900z good -> keep monthly:2027-04
      20270531t225900z good -> keep monthly:2027-05 newest-good`,
  },
  {
    from: 'restic 4415',
    what: 'midnight of New Year is of the new year',
    rules: keeping({ yearly: 2 }),
    now: '2027-06-20T12:00:00.000Z',
    rows: `
      20251231t235959z good -> delete beyond-yearly:2025
      20261231t235959z good -> keep yearly:2026
      20270101t000000z good -> keep yearly:2027 newest-good`,
  },
  {
    from: 'duplicati 3987',
    what: 'a weekly one stays though the next one ran sooner in its week',
    rules: keeping({ weekly: 4 }),
    now: '2027-03-01T12:00:00.000Z',
    rows: `
      20270127t033000z good -> delete beyond-weekly:2027-W04
      20270203t033105z good -> keep weekly:2027-W05
      20270210t033050z good -> keep weekly:2027-W06
      20270217t033105z good -> keep weekly:2027-W07
      20270224t033050z good -> keep weekly:2027-W08 newest-good`,
  },
  {
    from: 'duplicati 3987',
    what: 'a week goes from Monday to Sunday, and the last one of a year may be the 53rd',
    rules: keeping({ weekly: 2 }),
    now: '2027-02-01T12:00:00.000Z',
    rows: `
      20261227t120000z good -> delete beyond-weekly:2026-W52
      20261228t000000z good -> delete taken-weekly:2026-W53
      20270103t235959z good -> keep weekly:2026-W53
      20270104t000000z good -> keep weekly:2027-W01 newest-good`,
  },
  {
    from: 'pgbackrest 2622',
    what: 'one that a backup is making stays, past its age too',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    running: [{ kind: 'backup', id: 'daily-backup-20261020T023000Z', recoveryPointId: '20261020t013000z' }],
    rows: `
      20261019t013000z incomplete -> delete past-incomplete
      20261020t013000z incomplete -> past backup:daily-backup-20261020T023000Z
      20261130t023000z good -> keep open age newest-good`,
  },
  {
    from: 'pgbackrest 2622',
    what: 'a late one stays for as long as a run may close it',
    rules: keeping({ daily: 1 }),
    now: '2026-11-30T02:29:59.999Z',
    rows: `
      20261126t023000z good -> delete beyond-daily:2026-11-26
      20261127t023000z good -> keep open
      20261129t023000z good -> keep open daily:2026-11-29 newest-good`,
  },
  {
    from: 'pgbackrest 2622',
    what: 'and no longer',
    rules: keeping({ daily: 1 }),
    now: '2026-11-30T02:30:00.000Z',
    rows: `
      20261127t023000z good -> delete beyond-daily:2026-11-27
      20261129t023000z good -> keep open daily:2026-11-29 newest-good`,
  },
  {
    from: 'pgbackrest 2622',
    what: 'a rerun of an older instant is of its own day, and pushes no younger one out',
    rules: keeping({ daily: 3 }),
    now: '2027-01-01T12:00:00.000Z',
    rows: `
      20261126t023000z good -> keep daily:2026-11-26
      20261127t023000z good -> keep daily:2026-11-27
      20261128t023000z good -> keep daily:2026-11-28 newest-good`,
  },
  {
    from: 'wal-g 1152',
    what: 'one that is held of ten stops no other deletion',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    holds: [hold({ kind: 'recovery-point', recoveryPointId: '20261004t013000z' })],
    rows: `
      20261001t013000z good -> delete past-age
      20261002t013000z good -> delete past-age
      20261003t013000z good -> delete past-age
      20261004t013000z good -> past hold:h1
      20261005t013000z good -> delete past-age
      20261006t013000z good -> delete past-age
      20261007t013000z good -> delete past-age
      20261008t013000z good -> delete past-age
      20261128t023000z good -> keep open age
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'wal-g 1245',
    what: 'four are kept of three: all stay',
    rules: keeping({ daily: 4 }),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261127t023000z good -> keep daily:2026-11-27
      20261128t023000z good -> keep daily:2026-11-28
      20261129t023000z good -> keep daily:2026-11-29 newest-good`,
  },
  {
    from: 'barman 980',
    what: 'one whose restore test began on its last day stays until that ends',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    running: [{ kind: 'restore-test', id: 'restore-test-20261129T043000Z', recoveryPointId: '20261025t023000z' }],
    rows: `
      20261024t013000z good -> delete past-age
      20261025t023000z good -> past restore-test:restore-test-20261129T043000Z
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'barman 980',
    what: 'and goes when it has ended',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261025t023000z good failed -> delete past-age
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'kopia 4894',
    what: 'two rules of different length: each by its own',
    rules: byAge(35, 7),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261027t023000z good -> keep age
      20261027t033000z incomplete -> delete past-incomplete
      20261122t023000z incomplete -> delete past-incomplete
      20261124t023000z incomplete -> keep incomplete
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'kopia 3253',
    what: 'one that is proved between plan and sweep is kept by the next plan',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261020t013000z good passed -> past newest-proved
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'kopia 5590',
    what: 'the newest is not touched, though its rule is of no length',
    rules: byAge(1, 1),
    now: '2026-11-30T02:30:00.000Z',
    rows: `
      20261129t013000z good -> keep open
      20261129t023000z good -> keep open newest-good`,
  },
  {
    from: 's3-find-and-forget 306',
    what: 'one whose manifest is gone keeps none of the others',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261010t013000z good -> delete past-age
      20261011t013000z good doubted -> delete past-age
      20261012t013000z good -> delete past-age
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'aws-maintenance 12',
    what: 'after days without a sweep all that is past its age goes at once, so that the quota has room',
    rules: byAge(2),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261120t023000z good -> delete past-age
      20261121t023000z good -> delete past-age
      20261122t023000z good -> delete past-age
      20261123t023000z good -> delete past-age
      20261130t023000z good -> keep open age newest-good`,
  },
  {
    from: 'aws-maintenance 19',
    what: 'several of one instant’s hour are one day’s',
    rules: keeping({ daily: 2 }),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261129t023000z good -> keep daily:2026-11-29
      20261130t023000z good -> delete taken-daily:2026-11-30
      20261130t023001z good -> delete taken-daily:2026-11-30
      20261130t023002z good -> keep daily:2026-11-30 newest-good`,
  },

  // Age.
  {
    from: 'age',
    what: 'it goes at the time of day that it was of, not before',
    rules: byAge(35),
    now: '2026-11-30T02:29:59.999Z',
    rows: `
      20261025t023000z good -> delete past-age
      20261026t023000z good -> keep age
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'and then',
    rules: byAge(35),
    now: '2026-11-30T02:30:00.000Z',
    rows: `
      20261026t023000z good -> delete past-age
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'over the clock change in spring it is an hour shorter: half past two is half past two',
    rules: byAge(35),
    now: '2027-04-24T01:30:00.000Z',
    rows: `
      20270320t023000z good -> delete past-age
      20270423t013000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'over the clock change in autumn it is an hour longer',
    rules: byAge(35),
    now: '2026-11-14T01:30:00.000Z',
    rows: `
      20261010t013000z good -> keep age
      20261113t023000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'of a time that the clocks skip on its last day, an hour later',
    rules: byAge(35),
    now: '2027-03-28T01:29:59.000Z',
    rows: `
      20270221t013000z good -> keep age
      20270327t023000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'of a time that comes twice on its last day, the second time',
    rules: byAge(35),
    now: '2026-10-25T00:30:00.000Z',
    rows: `
      20260920t003000z good -> keep age
      20261024t013000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'the 29th of February is a day',
    rules: byAge(1),
    now: '2028-02-29T02:30:00.000Z',
    rows: `
      20280225t023000z good -> delete past-age
      20280228t023000z good -> keep open
      20280229t020000z good -> keep open age newest-good`,
  },
  {
    from: 'age',
    what: 'a count never outlives it',
    rules: keeping({ daily: 7, monthly: 12, yearly: 6 }, 35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20251231t023000z good -> delete past-age
      20261026t023000z good -> delete past-age
      20261031t023000z good -> keep daily:2026-10-31 monthly:2026-10
      20261129t023000z good -> keep open daily:2026-11-29 monthly:2026-11 yearly:2026 newest-good`,
  },
  {
    from: 'age',
    what: 'what is past it has no place in a count',
    rules: keeping({ weekly: 2 }, 10),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261119t023000z good -> delete past-age
      20261121t023000z good -> keep weekly:2026-W47
      20261124t023000z good -> keep weekly:2026-W48 newest-good`,
  },

  // Counts.
  {
    from: 'counts',
    what: 'what any of them keeps stays; what goes goes for all of them',
    rules: keeping({ withinDays: 3, daily: 1, weekly: 2, monthly: 2, yearly: 2 }),
    now: '2027-01-10T12:00:00.000Z',
    rows: `
      20251231t023000z good -> delete beyond-daily:2025-12-31 beyond-weekly:2026-W01 beyond-monthly:2025-12 beyond-yearly:2025 past-within
      20261231t023000z good -> keep monthly:2026-12 yearly:2026
      20270103t023000z good -> keep weekly:2026-W53
      20270109t023000z good -> keep open daily:2027-01-09 weekly:2027-W01 monthly:2027-01 yearly:2027 within newest-good`,
  },
  {
    from: 'counts',
    what: 'of a period without any, the one before has the place',
    rules: keeping({ daily: 2 }),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261101t023000z good -> delete beyond-daily:2026-11-01
      20261110t023000z good -> keep daily:2026-11-10
      20261129t023000z good -> keep daily:2026-11-29 newest-good`,
  },
  {
    from: 'counts',
    what: 'the running week’s newest has its place, and Monday’s has none once Tuesday’s is there',
    rules: keeping({ weekly: 2 }),
    now: '2026-12-05T06:00:00.000Z',
    rows: `
      20261129t023000z good -> keep weekly:2026-W48
      20261130t023000z good -> delete taken-weekly:2026-W49
      20261201t023000z good -> keep weekly:2026-W49 newest-good`,
  },
  {
    from: 'counts',
    what: 'the last days end at the time of day',
    rules: keeping({ withinDays: 10 }),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261120t060000z good -> delete past-within
      20261120t060001z good -> keep within
      20261129t023000z good -> keep open within newest-good`,
  },
  {
    from: 'counts',
    what: 'the last days go over the clock change like an age does',
    rules: keeping({ withinDays: 10 }),
    now: '2026-11-01T01:30:00.000Z',
    rows: `
      20261022t003000z good -> delete past-within
      20261022t013000z good -> keep within
      20261101t003000z good -> keep open within newest-good`,
  },
  {
    from: 'counts',
    what: 'midnight in London begins a day, in summer an hour before UTC’s',
    rules: keeping({ daily: 2 }),
    now: '2027-07-20T06:00:00.000Z',
    rows: `
      20270701t225959z good -> delete beyond-daily:2027-07-01
      20270701t230000z good -> delete taken-daily:2027-07-02
      20270702t225959z good -> keep daily:2027-07-02
      20270702t230000z good -> keep daily:2027-07-03 newest-good`,
  },
  {
    from: 'counts',
    what: 'leap day has its place, its month ends with it',
    rules: keeping({ daily: 2, monthly: 2 }),
    now: '2028-03-20T06:00:00.000Z',
    rows: `
      20280228t023000z good -> delete beyond-daily:2028-02-28 taken-monthly:2028-02
      20280229t023000z good -> keep daily:2028-02-29 monthly:2028-02
      20280301t023000z good -> keep daily:2028-03-01 monthly:2028-03 newest-good`,
  },
  {
    from: 'counts',
    what: 'a yearly one stays in the third year',
    rules: keeping({ yearly: 3 }),
    now: '2027-01-20T06:00:00.000Z',
    rows: `
      20241231t023000z good -> delete beyond-yearly:2024
      20251231t023000z good -> keep yearly:2025
      20261231t023000z good -> keep yearly:2026
      20270110t023000z good -> keep yearly:2027 newest-good`,
  },
  {
    from: 'counts',
    what: 'one alone has every place',
    rules: keeping({ withinDays: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 }),
    now: FIVE_YEARS_LATER,
    rows: '20261129t023000z good -> keep daily:2026-11-29 weekly:2026-W48 monthly:2026-11 yearly:2026 newest-good',
  },

  // What pushes none out.
  {
    from: 'incomplete',
    what: 'it has no place in a count, though it is the newest of its day',
    rules: keeping({ daily: 2 }),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261128t023000z good -> keep daily:2026-11-28
      20261129t023000z good -> keep daily:2026-11-29 newest-good
      20261129t120000z incomplete -> past newest-of-all`,
  },
  {
    from: 'incomplete',
    what: 'it goes by its own rule, sooner than a good one',
    rules: byAge(35, 7),
    now: '2026-11-30T02:30:00.000Z',
    rows: `
      20261123t023000z incomplete -> delete past-incomplete
      20261123t023001z incomplete -> keep incomplete
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'incomplete',
    what: 'or later: its rule is its own',
    rules: byAge(10, 20),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261115t023000z good -> delete past-age
      20261115t033000z incomplete -> keep incomplete
      20261129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'incomplete',
    what: 'in the three calendar days with the clock change, a run has 72 hours all the same',
    rules: byAge(35, 3),
    now: '2027-03-29T01:30:00.000Z',
    rows: `
      20270326t023000z incomplete -> keep open
      20270328t013000z good -> keep open age newest-good`,
  },
  {
    from: 'incomplete',
    what: 'weeks of them push the last good one not out',
    rules: byAge(35, 7),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261129t023000z good -> past newest-good
      20261130t023000z incomplete -> delete past-incomplete
      20270120t023000z incomplete -> delete past-incomplete
      20270128t023000z incomplete -> keep open incomplete
      20270129t023000z incomplete -> keep open incomplete newest-of-all`,
  },
  {
    from: 'incomplete',
    what: 'where there never was a good one, the newest stays for ever',
    rules: byAge(35, 7),
    now: FIVE_YEARS_LATER,
    rows: `
      20261128t023000z incomplete -> delete past-incomplete
      20261129t023000z incomplete -> past newest-of-all`,
  },
  {
    from: 'future',
    what: 'it pushes none out, and stays',
    rules: keeping({ daily: 1 }),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261128t023000z good -> delete beyond-daily:2026-11-28
      20261129t023000z good -> keep daily:2026-11-29 newest-good
      20270129t023000z good passed -> keep future
      20361129t023000z good -> keep future`,
  },
  {
    from: 'future',
    what: 'it is neither the newest proved nor the newest good',
    rules: byAge(7),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261119t023000z good passed -> past newest-proved
      20261120t023000z good -> past newest-good
      20261211t023000z good passed -> keep future
      20361129t023000z incomplete -> keep future`,
  },
  {
    from: 'future',
    what: 'clocks may differ by five minutes',
    rules: keeping({ daily: 1 }),
    now: '2026-11-29T02:25:00.000Z',
    rows: `
      20261128t023000z good -> keep open
      20261129t023000z good -> keep open daily:2026-11-29 newest-good
      20261129t023001z good -> keep future`,
  },
  {
    from: 'flood',
    what: 'a hundred new ones of one day take one place',
    rules: keeping({ daily: 3 }),
    now: '2026-12-10T06:00:00.000Z',
    rows: `
      20261127t023000z good -> keep daily:2026-11-27
      20261128t023000z good -> keep daily:2026-11-28
${Array.from({ length: 100 }, (_, index) => `      20261129t10${String(Math.floor(index / 60)).padStart(2, '0')}${String(index % 60).padStart(2, '0')}z good -> ${index < 99 ? 'delete taken-daily:2026-11-29' : 'keep daily:2026-11-29 newest-good'}`).join('\n')}`,
  },
  {
    from: 'clock set back',
    what: 'what is of later than that stays, and nothing older goes for it',
    rules: byAge(35),
    now: '2026-10-30T06:00:00.000Z',
    rows: `
      20260924t013000z good -> delete past-age
      20261001t013000z good passed -> keep age newest-proved
      20261029t023000z good -> keep open age newest-good
      20261125t023000z good passed -> keep future
      20261129t023000z good -> keep future`,
  },
  {
    from: 'clock set back',
    what: 'to before everything: all stays',
    rules: byAge(1, 3),
    now: '1970-01-01T00:00:00.000Z',
    rows: `
      20260924t013000z good -> keep future
      20261001t013000z incomplete -> keep future`,
  },
  {
    from: 'clock ahead',
    what: 'by five years: the newest proved and the newest good stay',
    rules: byAge(35),
    now: FIVE_YEARS_LATER,
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261128t023000z good -> delete past-age
      20261129t023000z good -> past newest-good`,
  },
  {
    from: 'dates',
    what: 'an id that is no instant has no age',
    rules: byAge(1, 3),
    now: FIVE_YEARS_LATER,
    rows: `
      20261129t023000z good -> past newest-good
      20269929t023000z good -> keep unreadable
      20270230t023000z incomplete -> keep unreadable`,
  },

  // Proof and doubt.
  {
    from: 'proof',
    what: 'the newest proved stays past its age; those that were proved before go',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> delete past-age
      20261205t023000z good passed -> past newest-proved
      20261206t023000z good -> delete past-age
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'proof',
    what: 'inconclusive, or could not start, proves nothing and takes no proof away',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed inconclusive -> past newest-proved
      20261205t023000z good inconclusive -> delete past-age
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'proof',
    what: 'a test that failed later takes the proof away, and what it proved once stays beside what is proved',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z good passed failed -> past doubted-newest:proved
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'proof',
    what: 'and one that passed after that gives it back',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> delete past-age
      20261205t023000z good failed passed -> past newest-proved
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'proof',
    what: 'a good one that is proved goes before an incomplete one that is',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z incomplete passed -> delete past-incomplete
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'proof',
    what: 'where no good one is, an incomplete one that is proved stays',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261205t023000z incomplete passed -> past newest-proved
      20261206t023000z incomplete -> delete past-incomplete
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'proof',
    what: 'one and the same may be both',
    rules: byAge(35),
    now: FIVE_YEARS_LATER,
    rows: `
      20261128t023000z good -> delete past-age
      20261129t023000z good passed -> past newest-proved newest-good`,
  },
  {
    from: 'doubt',
    what: 'one whose test failed is not the newest good, and keeps to its age',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261128t023000z good -> keep open age newest-good
      20261129t023000z good failed -> keep open doubted doubted-newest:good`,
  },
  {
    from: 'doubt',
    what: 'it has no place in a count, and none is taken from it',
    rules: keeping({ daily: 1 }, 35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261120t023000z good failed -> keep doubted
      20261121t023000z good -> keep daily:2026-11-21 newest-good
      20261122t023000z good doubted -> keep doubted doubted-newest:good`,
  },
  {
    from: 'doubt',
    what: 'what is lost of it proves nothing any more, and is let go by nothing but what is newer',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z good passed doubted -> past doubted-newest:proved
      20270120t023000z good -> keep age newest-good
      20270129t023000z good doubted -> keep open doubted doubted-newest:good`,
  },
  {
    from: 'doubt',
    what: 'where all are doubted the newest stays',
    rules: byAge(35),
    now: FIVE_YEARS_LATER,
    rows: `
      20261128t023000z good doubted -> delete past-age
      20261129t023000z good doubted -> past doubted-newest:good`,
  },

  {
    from: 'doubt',
    what: 'a delete marker on the newest proved one lets neither it nor the one before go',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z good passed doubted -> past doubted-newest:proved
      20270128t023000z good -> keep open age newest-good
      20270129t023000z incomplete -> keep open incomplete newest-of-all`,
  },
  {
    from: 'doubt',
    what: 'of everything, where backups have stopped, lets the newest proved and the newest good one not go',
    rules: byAge(35),
    now: FIVE_YEARS_LATER,
    rows: `
      20261105t023000z good passed doubted -> past doubted-newest:proved
      20261128t023000z good doubted -> delete past-age
      20261129t023000z good doubted -> past doubted-newest:good
      20261130t023000z incomplete doubted -> past doubted-newest:all`,
  },
  {
    from: 'doubt',
    what: 'a newer proved one has the place by the ledger’s word as well: then the doubted one goes',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> delete past-age
      20261205t023000z good passed doubted -> delete past-age
      20270105t023000z good passed -> keep age newest-proved
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'doubt',
    what: 'a test that failed the only good one, while backups fail, does not let it go',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261205t023000z good passed failed -> past doubted-newest:proved doubted-newest:good
      20270129t023000z incomplete -> keep open incomplete newest-of-all`,
  },
  {
    from: 'doubt',
    what: 'a test that failed a younger one does not stand for one that was proved and is doubted now',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z good passed doubted -> past doubted-newest:proved
      20261206t023000z good passed failed -> past doubted-newest:proved
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'doubt',
    what: 'the newest of all, not good, and the one before it, where that is not doubted',
    rules: byAge(35),
    now: FIVE_YEARS_LATER,
    rows: `
      20261127t023000z incomplete -> delete past-incomplete
      20261128t023000z incomplete -> past newest-of-all
      20261129t023000z incomplete doubted -> past doubted-newest:all`,
  },
  {
    from: 'doubt',
    what: 'an incomplete one that is proved, and a good one whose proof is doubted: both stay',
    rules: byAge(35),
    now: FIVE_YEARS_LATER,
    rows: `
      20261105t023000z good passed? -> past doubted-newest:proved
      20261106t023000z incomplete passed -> past newest-proved
      20261129t023000z good -> past newest-good`,
  },
  {
    from: 'doubt',
    what: 'one that failed its test is not called healthy for its age, and neither is one that is lost',
    rules: byAge(35),
    now: '2026-11-30T06:00:00.000Z',
    rows: `
      20261110t023000z good failed -> keep doubted
      20261111t023000z good doubted -> keep doubted
      20261125t023000z incomplete doubted -> keep incomplete
      20261129t023000z good -> keep open age newest-good`,
  },

  // Tests and their records.
  {
    from: 'tests',
    what: 'one that failed has failed, though its record is gone',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z good passed failed? -> past doubted-newest:proved
      20270128t023000z good -> keep open age newest-good
      20270129t023000z good failed? -> keep open doubted doubted-newest:good`,
  },
  {
    from: 'tests',
    what: 'one that passed and whose record is gone proves nothing, and takes no failure away',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261105t023000z good passed -> past newest-proved
      20261205t023000z good failed passed? -> delete past-age
      20270110t023000z good failed passed? -> keep doubted doubted-newest:proved
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'tests',
    what: 'they are ordered by the ledger, not by their ids',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20270104t023000z good failed passed -> keep age newest-proved
      20270105t023000z good passed failed -> keep doubted doubted-newest:proved
      20270106t023000z good failed -> keep doubted
      20270129t023000z good -> keep open age newest-good`,
  },

  // Ids without an age.
  {
    from: 'dates',
    what: 'one whose id is of the future is past its date by when it was closed, and says so',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20270129t023000z good -> keep open age newest-good
      20361201t023000z good closed:20261226t060000z -> past misdated
      20361202t023000z good closed:20261226t060001z -> keep future
      20361203t023000z incomplete closed:20270101t060000z -> past misdated
      20361204t023000z good -> keep future`,
  },
  {
    from: 'dates',
    what: 'one whose id is no instant is past its date by when it was closed, and stays',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    holds: [hold({ kind: 'recovery-point', recoveryPointId: '20269929t023000z' })],
    rows: `
      20269929t023000z good closed:20261226t060000z -> past misdated hold:h1
      20269930t023000z good closed:20261226t060001z -> keep unreadable
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'dates',
    what: 'when it was closed changes nothing where the id has an age',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261225t023000z good closed:20261228t010000z -> delete past-age
      20270129t023000z good closed:20200101t000000z -> keep open age newest-good`,
  },
  {
    from: 'counts',
    what: 'that count nothing let nothing go',
    rules: keeping({}, 35),
    now: '2027-01-30T06:00:00.000Z',
    rows: `
      20261225t023000z good -> delete past-age
      20270110t023000z good -> keep age
      20270129t023000z good -> keep open newest-good`,
  },

  // What outlasts the rules.
  {
    from: 'hold',
    what: 'of a school: those that it is in, or may be in',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    holds: [hold({ kind: 'tenant', tenant: 'oak', isApart: false })],
    rows: `
      20261101t023000z good in:elm -> delete past-age
      20261102t023000z good in:elm+oak -> past hold:h1
      20261103t023000z good in:? -> past hold:h1
      20261104t023000z good in:oak2 -> delete past-age
      20270129t023000z good in:oak -> keep open age newest-good hold:h1`,
  },
  {
    from: 'hold',
    what: 'of a school whose data lies apart holds no mixed copy',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    holds: [hold({ kind: 'tenant', tenant: 'oak', isApart: true })],
    rows: `
      20261102t023000z good in:oak -> delete past-age
      20270129t023000z good in:oak -> keep open age newest-good`,
  },
  {
    from: 'hold',
    what: 'of what was before a day: not of that day’s',
    rules: byAge(35),
    now: '2027-01-30T06:00:00.000Z',
    holds: [hold({ kind: 'before', before: '2026-11-03T00:00:00.000Z' })],
    rows: `
      20261102t235959z incomplete -> past hold:h1
      20261103t000000z good -> delete past-age
      20269929t000000z good -> keep unreadable hold:h1
      20270129t023000z good -> keep open age newest-good`,
  },
  {
    from: 'incident',
    what: 'everything up to its detection stays while it is open, whatever its state',
    rules: byAge(35),
    now: '2027-03-30T06:00:00.000Z',
    incidents: [{ incidentId: 'i1', detectedAt: '2027-01-10T02:30:00.000Z' }],
    rows: `
      20260101t023000z good doubted -> past incident:i1
      20270109t023000z incomplete -> past incident:i1
      20270110t023000z good failed -> past incident:i1
      20270111t023000z good -> delete past-age
      20270329t013000z good -> keep open age newest-good`,
  },
  {
    from: 'incident',
    what: 'two of them: each names what it keeps',
    rules: byAge(35),
    now: '2027-03-30T06:00:00.000Z',
    incidents: [
      { incidentId: 'i1', detectedAt: '2027-01-10T12:00:00.000Z' },
      { incidentId: 'i2', detectedAt: '2027-01-11T12:00:00.000Z' },
    ],
    rows: `
      20270110t023000z good -> past incident:i2 incident:i1
      20270111t023000z good -> past incident:i2
      20270112t023000z good -> delete past-age
      20270329t013000z good -> keep open age newest-good`,
  },
  {
    from: 'running',
    what: 'a recovery and an erasure’s proof keep what they name, and no other',
    rules: byAge(35),
    now: '2027-03-30T06:00:00.000Z',
    running: [
      { kind: 'recovery', id: 'r1', recoveryPointId: '20270111t023000z' },
      { kind: 'erasure', id: 'e1', recoveryPointId: '20270112t023000z' },
      { kind: 'recovery', id: 'r2', recoveryPointId: '20270112t023000z' },
      { kind: 'recovery', id: 'r3', recoveryPointId: '20990112t023000z' },
    ],
    rows: `
      20270110t023000z good -> delete past-age
      20270111t023000z good -> past recovery:r1
      20270112t023000z good -> past erasure-proof:e1 recovery:r2
      20270113t023000z good -> delete past-age
      20270329t013000z good -> keep open age newest-good`,
  },
  {
    from: 'running',
    what: 'everything at once: all reasons are named',
    rules: byAge(35),
    now: '2027-03-30T06:00:00.000Z',
    holds: [hold({ kind: 'recovery-point', recoveryPointId: '20270111t023000z' })],
    incidents: [{ incidentId: 'i1', detectedAt: '2027-03-01T00:00:00.000Z' }],
    running: [{ kind: 'restore-test', id: 't1', recoveryPointId: '20270111t023000z' }],
    rows: '20270111t023000z good passed -> past newest-proved newest-good hold:h1 incident:i1 restore-test:t1',
  },

  // No rules, no points.
  {
    from: 'no rules',
    what: 'nothing goes, however old; what would outlast rules is named as well',
    rules: null,
    now: FIVE_YEARS_LATER,
    rows: `
      20161105t023000z incomplete -> keep no-rules
      20261105t023000z good passed -> keep no-rules newest-proved newest-good`,
  },
  { from: 'no points', what: 'nothing stays and nothing goes', rules: byAge(35), now: FIVE_YEARS_LATER, rows: '' },
];
