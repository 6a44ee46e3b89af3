-- Packing lists: a project for each confirmed booking, its tasks and items, and the changes that a person
-- has to decide. 61_project_packing.sql writes them, apart from the columns whose owner is planner.
-- Rules: one writer per table; a person's work is never overwritten.

create table public.packing_projects (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  booking_id bigint not null,
  name text not null,
  client_name text,
  starts_on date,
  ends_on date,
  delivery_address text,
  notes text,
  status text not null default 'planning'
    constraint packing_projects_status_check
    check (status in ('planning', 'in_progress', 'packed', 'delivered', 'returned', 'closed')),
  needs_review boolean not null default false,
  review_reason text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_projects_booking_key unique (booking_id),
  constraint packing_projects_id_organization_key unique (id, organization_id),
  constraint packing_projects_booking_fkey foreign key (booking_id, organization_id)
    references public.bookings (id, organization_id)
);

-- Partial on purpose: without statistics the query planner would think a full index as good as the key,
-- and each foreign key check would read all projects of the organization.
create index packing_projects_organization_starts_idx on public.packing_projects (organization_id, starts_on)
  where active;

comment on table public.packing_projects is 'One packing list per booking.';
comment on column public.packing_projects.id is 'Internal key.';
comment on column public.packing_projects.organization_id is 'The booking''s organization.';
comment on column public.packing_projects.booking_id is 'The booking; one project each.';
comment on column public.packing_projects.name is 'Owner: derived.';
comment on column public.packing_projects.client_name is 'Owner: derived.';
comment on column public.packing_projects.starts_on is 'Owner: derived. First rig day.';
comment on column public.packing_projects.ends_on is 'Owner: derived. Last rigdown day.';
comment on column public.packing_projects.delivery_address is 'Owner: derived.';
comment on column public.packing_projects.notes is 'Owner: derived. The source''s notes for the packers.';
comment on column public.packing_projects.status is 'Owner: planner. Any status but planning freezes the items (see sync.packing_states).';
comment on column public.packing_projects.needs_review is 'Owner: derived. Changes of the booking wait for a decision.';
comment on column public.packing_projects.review_reason is 'Owner: derived. Why it needs review, in words.';
comment on column public.packing_projects.active is 'Owner: derived. False while the booking is not confirmed.';
comment on column public.packing_projects.created_at is 'When the row was made.';
comment on column public.packing_projects.updated_at is 'When the row last changed.';

create table public.packing_tasks (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  packing_project_id bigint not null,
  kind text not null
    constraint packing_tasks_kind_check
    check (kind in ('pack', 'packed', 'delivered', 'inventoried', 'unpacked')),
  title text not null,
  due_on date,
  derived_due_on date,
  sort_order integer not null default 0,
  completed_at timestamptz,
  adjusted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_tasks_project_kind_key unique (packing_project_id, kind),
  constraint packing_tasks_project_fkey foreign key (packing_project_id, organization_id)
    references public.packing_projects (id, organization_id)
);

comment on table public.packing_tasks is 'The steps of a packing project.';
comment on column public.packing_tasks.id is 'Internal key.';
comment on column public.packing_tasks.organization_id is 'The project''s organization.';
comment on column public.packing_tasks.packing_project_id is 'The project.';
comment on column public.packing_tasks.kind is 'Owner: derived.';
comment on column public.packing_tasks.title is 'Owner: derived.';
comment on column public.packing_tasks.due_on is 'Owner: derived until completed or adjusted.';
comment on column public.packing_tasks.derived_due_on is 'Owner: derived. What follows from the days of the booking; differs from due_on if a person decided otherwise.';
comment on column public.packing_tasks.sort_order is 'Owner: derived.';
comment on column public.packing_tasks.completed_at is 'Owner: planner.';
comment on column public.packing_tasks.adjusted_at is 'Owner: planner. When a person set the due date; it stays from then on.';
comment on column public.packing_tasks.created_at is 'When the row was made.';
comment on column public.packing_tasks.updated_at is 'When the row last changed.';

create table public.packing_items (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  packing_project_id bigint not null,
  booking_product_id bigint references public.booking_products (id) on delete restrict,
  manual_name text,
  quantity_to_pack numeric not null default 1,
  quantity_packed numeric not null default 0,
  quantity_returned numeric not null default 0,
  packed_at timestamptz,
  excluded boolean not null default false,
  notes text,
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_items_project_product_key unique (packing_project_id, booking_product_id),
  constraint packing_items_kind_check check ((booking_product_id is null) <> (manual_name is null)),
  -- NaN is greater than any number.
  constraint packing_items_quantities_check
    check (quantity_packed between 0 and 1e9 and quantity_returned between 0 and 1e9),
  constraint packing_items_manual_check
    check (manual_name is null or length(manual_name) between 1 and 500 and quantity_to_pack between 0 and 1e9),
  constraint packing_items_notes_check check (length(notes) <= 10000),
  constraint packing_items_project_fkey foreign key (packing_project_id, organization_id)
    references public.packing_projects (id, organization_id)
);

create index packing_items_booking_product_id_idx on public.packing_items (booking_product_id);

comment on table public.packing_items is 'What to pack: one row for each product row that is packed, and manual items that packers add.';
comment on column public.packing_items.id is 'Internal key.';
comment on column public.packing_items.organization_id is 'The project''s organization.';
comment on column public.packing_items.packing_project_id is 'The project.';
comment on column public.packing_items.booking_product_id is 'The product row; null for a manual item.';
comment on column public.packing_items.manual_name is 'Owner: planner. Name of a manual item, which no sync touches.';
comment on column public.packing_items.quantity_to_pack is 'Owner: derived (planner for a manual item). Pieces; for a component its quantity times that of its parent.';
comment on column public.packing_items.quantity_packed is 'Owner: planner. Pieces.';
comment on column public.packing_items.quantity_returned is 'Owner: planner. Pieces.';
comment on column public.packing_items.packed_at is 'Owner: planner.';
comment on column public.packing_items.excluded is 'Owner: planner. Not to be packed for this booking.';
comment on column public.packing_items.notes is 'Owner: planner.';
comment on column public.packing_items.active is 'Owner: derived. False if the product is no longer packed.';
comment on column public.packing_items.created_at is 'When the row was made.';
comment on column public.packing_items.updated_at is 'When the row last changed.';

create table public.packing_change_requests (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  packing_project_id bigint not null,
  booking_product_id bigint not null references public.booking_products (id),
  change_type text not null
    constraint packing_change_requests_change_type_check
    check (change_type in ('item_added', 'item_removed', 'quantity_changed')),
  old_quantity numeric,
  new_quantity numeric,
  urgency text not null default 'normal'
    constraint packing_change_requests_urgency_check check (urgency in ('normal', 'short_notice')),
  status text not null default 'pending'
    constraint packing_change_requests_status_check check (status in ('pending', 'accepted', 'dismissed')),
  resolved_at timestamptz,
  resolved_by text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint packing_change_requests_project_fkey foreign key (packing_project_id, organization_id)
    references public.packing_projects (id, organization_id)
);

create unique index packing_change_requests_pending_key on public.packing_change_requests
  (packing_project_id, booking_product_id, change_type) where status = 'pending';

create index packing_change_requests_booking_product_id_idx on public.packing_change_requests (booking_product_id);

comment on table public.packing_change_requests is 'Changes of a booking that a person has to decide because the packing project is frozen.';
comment on column public.packing_change_requests.id is 'Internal key.';
comment on column public.packing_change_requests.organization_id is 'The project''s organization.';
comment on column public.packing_change_requests.packing_project_id is 'The project.';
comment on column public.packing_change_requests.booking_product_id is 'The product row that changed.';
comment on column public.packing_change_requests.change_type is 'Owner: derived.';
comment on column public.packing_change_requests.old_quantity is 'Owner: derived. What the packing list says; null for an added item.';
comment on column public.packing_change_requests.new_quantity is 'Owner: derived. What the booking says; null for a removed item.';
comment on column public.packing_change_requests.urgency is 'Owner: derived. short_notice: the project starts in less than 14 days (see sync.packing_states).';
comment on column public.packing_change_requests.status is 'Owner: planner; the system dismisses a request whose cause is gone.';
comment on column public.packing_change_requests.resolved_at is 'Owner: planner. When it was decided.';
comment on column public.packing_change_requests.resolved_by is 'Owner: planner. Who decided: a user id, or system.';
comment on column public.packing_change_requests.created_at is 'When the row was made.';
comment on column public.packing_change_requests.updated_at is 'When the row last changed.';
