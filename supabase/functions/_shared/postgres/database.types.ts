export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type Database = {
  "public": {
    Tables: {
      "booking_attachments": {
        Row: {
          "booking_id": number;
          "created_at": string;
          "file_name": string | null;
          "file_type": string | null;
          "id": number;
          "listed_under": string | null;
          "organization_id": string;
          "origin": string;
          "source_doubted_since": string | null;
          "source_missing_since": string | null;
          "updated_at": string;
          "url": string;
          "url_key": string;
        };
        ComputedFields: never;
        Insert: {
          "booking_id": number;
          "created_at"?: string;
          "file_name"?: string | null;
          "file_type"?: string | null;
          "id"?: never;
          "listed_under"?: string | null;
          "organization_id": string;
          "origin"?: string;
          "source_doubted_since"?: string | null;
          "source_missing_since"?: string | null;
          "updated_at"?: string;
          "url": string;
          "url_key": string;
        };
        Update: {
          "booking_id"?: number;
          "created_at"?: string;
          "file_name"?: string | null;
          "file_type"?: string | null;
          "id"?: never;
          "listed_under"?: string | null;
          "organization_id"?: string;
          "origin"?: string;
          "source_doubted_since"?: string | null;
          "source_missing_since"?: string | null;
          "updated_at"?: string;
          "url"?: string;
          "url_key"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "booking_attachments_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "booking_dates": {
        Row: {
          "booking_id": number;
          "created_at": string;
          "day": string;
          "end_time": string | null;
          "id": number;
          "organization_id": string;
          "phase": Database["public"]["Enums"]["booking_phase"];
          "source_doubted_since": string | null;
          "source_missing_since": string | null;
          "start_time": string | null;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "booking_id": number;
          "created_at"?: string;
          "day": string;
          "end_time"?: string | null;
          "id"?: never;
          "organization_id": string;
          "phase": Database["public"]["Enums"]["booking_phase"];
          "source_doubted_since"?: string | null;
          "source_missing_since"?: string | null;
          "start_time"?: string | null;
          "updated_at"?: string;
        };
        Update: {
          "booking_id"?: number;
          "created_at"?: string;
          "day"?: string;
          "end_time"?: string | null;
          "id"?: never;
          "organization_id"?: string;
          "phase"?: Database["public"]["Enums"]["booking_phase"];
          "source_doubted_since"?: string | null;
          "source_missing_since"?: string | null;
          "start_time"?: string | null;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "booking_dates_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "booking_history": {
        Row: {
          "actor": string;
          "actor_id": string | null;
          "at": string;
          "booking_id": number;
          "changes": NonNullable<Json>;
          "created_at": string;
          "delivery_id": string | null;
          "id": number;
          "organization_id": string;
          "run_id": string | null;
          "updated_at": string;
          "verdict": string;
        };
        ComputedFields: never;
        Insert: {
          "actor": string;
          "actor_id"?: string | null;
          "at"?: string;
          "booking_id": number;
          "changes"?: NonNullable<Json>;
          "created_at"?: string;
          "delivery_id"?: string | null;
          "id"?: never;
          "organization_id": string;
          "run_id"?: string | null;
          "updated_at"?: string;
          "verdict": string;
        };
        Update: {
          "actor"?: string;
          "actor_id"?: string | null;
          "at"?: string;
          "booking_id"?: number;
          "changes"?: NonNullable<Json>;
          "created_at"?: string;
          "delivery_id"?: string | null;
          "id"?: never;
          "organization_id"?: string;
          "run_id"?: string | null;
          "updated_at"?: string;
          "verdict"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "booking_history_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "booking_products": {
        Row: {
          "booking_id": number;
          "costs": Json | null;
          "created_at": string;
          "discount": number | null;
          "external_id": string;
          "id": number;
          "inventory_item_type_id": string | null;
          "inventory_package_id": string | null;
          "is_package_component": boolean;
          "name": string | null;
          "notes": string | null;
          "organization_id": string;
          "parent_external_id": string | null;
          "parent_id": number | null;
          "quantity": number;
          "sku": string | null;
          "sort_index": number | null;
          "source_doubted_since": string | null;
          "source_missing_since": string | null;
          "tags": (string)[];
          "total_price": number | null;
          "unit_price": number | null;
          "updated_at": string;
          "vat_rate": number;
        };
        ComputedFields: never;
        Insert: {
          "booking_id": number;
          "costs"?: Json | null;
          "created_at"?: string;
          "discount"?: number | null;
          "external_id": string;
          "id"?: never;
          "inventory_item_type_id"?: string | null;
          "inventory_package_id"?: string | null;
          "is_package_component"?: boolean;
          "name"?: string | null;
          "notes"?: string | null;
          "organization_id": string;
          "parent_external_id"?: string | null;
          "parent_id"?: number | null;
          "quantity"?: number;
          "sku"?: string | null;
          "sort_index"?: number | null;
          "source_doubted_since"?: string | null;
          "source_missing_since"?: string | null;
          "tags"?: (string)[];
          "total_price"?: number | null;
          "unit_price"?: number | null;
          "updated_at"?: string;
          "vat_rate"?: number;
        };
        Update: {
          "booking_id"?: number;
          "costs"?: Json | null;
          "created_at"?: string;
          "discount"?: number | null;
          "external_id"?: string;
          "id"?: never;
          "inventory_item_type_id"?: string | null;
          "inventory_package_id"?: string | null;
          "is_package_component"?: boolean;
          "name"?: string | null;
          "notes"?: string | null;
          "organization_id"?: string;
          "parent_external_id"?: string | null;
          "parent_id"?: number | null;
          "quantity"?: number;
          "sku"?: string | null;
          "sort_index"?: number | null;
          "source_doubted_since"?: string | null;
          "source_missing_since"?: string | null;
          "tags"?: (string)[];
          "total_price"?: number | null;
          "unit_price"?: number | null;
          "updated_at"?: string;
          "vat_rate"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "booking_products_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
          {
            foreignKeyName: "booking_products_parent_id_fkey";
            columns: ["parent_id"];
            isOneToOne: false;
            referencedRelation: "booking_products";
            referencedColumns: ["id"];
          },
        ];
      };
      "bookings": {
        Row: {
          "booking_number": string | null;
          "cancelled_at": string | null;
          "carry_more_than_10m": boolean | null;
          "client_name": string | null;
          "completed_at": string | null;
          "confirmed_at": string | null;
          "contact_email": string | null;
          "contact_name": string | null;
          "contact_phone": string | null;
          "created_at": string;
          "delivery_address": string | null;
          "delivery_city": string | null;
          "delivery_postal_code": string | null;
          "economics": Json | null;
          "exact_time_info": string | null;
          "exact_time_needed": boolean | null;
          "external_id": string;
          "extra": NonNullable<Json>;
          "ground_nails_allowed": boolean | null;
          "id": number;
          "is_stub": boolean;
          "latitude": number | null;
          "longitude": number | null;
          "map_drawing_url": string | null;
          "needs_review": boolean;
          "organization_id": string;
          "partner_reference": string | null;
          "planner_notes": string | null;
          "price_amount": number | null;
          "price_currency": string | null;
          "rejected_at": string | null;
          "rental_only": boolean;
          "review_reasons": (string)[];
          "source": Database["public"]["Enums"]["booking_source"];
          "source_missing_since": string | null;
          "source_notes": string | null;
          "source_status": string | null;
          "status": Database["public"]["Enums"]["booking_status"];
          "status_changed_at": string;
          "title": string | null;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "booking_number"?: string | null;
          "cancelled_at"?: string | null;
          "carry_more_than_10m"?: boolean | null;
          "client_name"?: string | null;
          "completed_at"?: string | null;
          "confirmed_at"?: string | null;
          "contact_email"?: string | null;
          "contact_name"?: string | null;
          "contact_phone"?: string | null;
          "created_at"?: string;
          "delivery_address"?: string | null;
          "delivery_city"?: string | null;
          "delivery_postal_code"?: string | null;
          "economics"?: Json | null;
          "exact_time_info"?: string | null;
          "exact_time_needed"?: boolean | null;
          "external_id": string;
          "extra"?: NonNullable<Json>;
          "ground_nails_allowed"?: boolean | null;
          "id"?: never;
          "is_stub"?: boolean;
          "latitude"?: number | null;
          "longitude"?: number | null;
          "map_drawing_url"?: string | null;
          "needs_review"?: never;
          "organization_id": string;
          "partner_reference"?: string | null;
          "planner_notes"?: string | null;
          "price_amount"?: number | null;
          "price_currency"?: string | null;
          "rejected_at"?: string | null;
          "rental_only"?: boolean;
          "review_reasons"?: (string)[];
          "source": Database["public"]["Enums"]["booking_source"];
          "source_missing_since"?: string | null;
          "source_notes"?: string | null;
          "source_status"?: string | null;
          "status"?: Database["public"]["Enums"]["booking_status"];
          "status_changed_at"?: string;
          "title"?: string | null;
          "updated_at"?: string;
        };
        Update: {
          "booking_number"?: string | null;
          "cancelled_at"?: string | null;
          "carry_more_than_10m"?: boolean | null;
          "client_name"?: string | null;
          "completed_at"?: string | null;
          "confirmed_at"?: string | null;
          "contact_email"?: string | null;
          "contact_name"?: string | null;
          "contact_phone"?: string | null;
          "created_at"?: string;
          "delivery_address"?: string | null;
          "delivery_city"?: string | null;
          "delivery_postal_code"?: string | null;
          "economics"?: Json | null;
          "exact_time_info"?: string | null;
          "exact_time_needed"?: boolean | null;
          "external_id"?: string;
          "extra"?: NonNullable<Json>;
          "ground_nails_allowed"?: boolean | null;
          "id"?: never;
          "is_stub"?: boolean;
          "latitude"?: number | null;
          "longitude"?: number | null;
          "map_drawing_url"?: string | null;
          "needs_review"?: never;
          "organization_id"?: string;
          "partner_reference"?: string | null;
          "planner_notes"?: string | null;
          "price_amount"?: number | null;
          "price_currency"?: string | null;
          "rejected_at"?: string | null;
          "rental_only"?: boolean;
          "review_reasons"?: (string)[];
          "source"?: Database["public"]["Enums"]["booking_source"];
          "source_missing_since"?: string | null;
          "source_notes"?: string | null;
          "source_status"?: string | null;
          "status"?: Database["public"]["Enums"]["booking_status"];
          "status_changed_at"?: string;
          "title"?: string | null;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "bookings_organization_id_fkey";
            columns: ["organization_id"];
            isOneToOne: false;
            referencedRelation: "organizations";
            referencedColumns: ["id"];
          },
        ];
      };
      "calendar_events": {
        Row: {
          "active": boolean;
          "adjusted_at": string | null;
          "booking_id": number | null;
          "created_at": string;
          "day": string;
          "day_dropped": boolean;
          "delivery_address": string | null;
          "derived_ends_at": string | null;
          "derived_starts_at": string | null;
          "ends_at": string;
          "event_type": string;
          "has_source_changes": boolean;
          "id": number;
          "organization_id": string;
          "resource_id": string | null;
          "starts_at": string;
          "times_are_default": boolean;
          "times_locked": boolean;
          "title": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "active"?: boolean;
          "adjusted_at"?: string | null;
          "booking_id"?: number | null;
          "created_at"?: string;
          "day": string;
          "day_dropped"?: boolean;
          "delivery_address"?: string | null;
          "derived_ends_at"?: string | null;
          "derived_starts_at"?: string | null;
          "ends_at": string;
          "event_type": string;
          "has_source_changes"?: boolean;
          "id"?: never;
          "organization_id": string;
          "resource_id"?: string | null;
          "starts_at": string;
          "times_are_default"?: boolean;
          "times_locked"?: boolean;
          "title": string;
          "updated_at"?: string;
        };
        Update: {
          "active"?: boolean;
          "adjusted_at"?: string | null;
          "booking_id"?: number | null;
          "created_at"?: string;
          "day"?: string;
          "day_dropped"?: boolean;
          "delivery_address"?: string | null;
          "derived_ends_at"?: string | null;
          "derived_starts_at"?: string | null;
          "ends_at"?: string;
          "event_type"?: string;
          "has_source_changes"?: boolean;
          "id"?: never;
          "organization_id"?: string;
          "resource_id"?: string | null;
          "starts_at"?: string;
          "times_are_default"?: boolean;
          "times_locked"?: boolean;
          "title"?: string;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "calendar_events_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
          {
            foreignKeyName: "calendar_events_organization_id_fkey";
            columns: ["organization_id"];
            isOneToOne: false;
            referencedRelation: "organizations";
            referencedColumns: ["id"];
          },
        ];
      };
      "organization_members": {
        Row: {
          "created_at": string;
          "organization_id": string;
          "role": string;
          "updated_at": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "organization_id": string;
          "role"?: string;
          "updated_at"?: string;
          "user_id": string;
        };
        Update: {
          "created_at"?: string;
          "organization_id"?: string;
          "role"?: string;
          "updated_at"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "organization_members_organization_id_fkey";
            columns: ["organization_id"];
            isOneToOne: false;
            referencedRelation: "organizations";
            referencedColumns: ["id"];
          },
        ];
      };
      "organizations": {
        Row: {
          "created_at": string;
          "id": string;
          "name": string;
          "time_zone": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "name": string;
          "time_zone"?: string;
          "updated_at"?: string;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "name"?: string;
          "time_zone"?: string;
          "updated_at"?: string;
        };
        Relationships: [];
      };
      "packing_change_requests": {
        Row: {
          "booking_product_id": number;
          "change_type": string;
          "created_at": string;
          "id": number;
          "new_quantity": number | null;
          "old_quantity": number | null;
          "organization_id": string;
          "packing_project_id": number;
          "resolved_at": string | null;
          "resolved_by": string | null;
          "status": string;
          "updated_at": string;
          "urgency": string;
        };
        ComputedFields: never;
        Insert: {
          "booking_product_id": number;
          "change_type": string;
          "created_at"?: string;
          "id"?: never;
          "new_quantity"?: number | null;
          "old_quantity"?: number | null;
          "organization_id": string;
          "packing_project_id": number;
          "resolved_at"?: string | null;
          "resolved_by"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "urgency"?: string;
        };
        Update: {
          "booking_product_id"?: number;
          "change_type"?: string;
          "created_at"?: string;
          "id"?: never;
          "new_quantity"?: number | null;
          "old_quantity"?: number | null;
          "organization_id"?: string;
          "packing_project_id"?: number;
          "resolved_at"?: string | null;
          "resolved_by"?: string | null;
          "status"?: string;
          "updated_at"?: string;
          "urgency"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "packing_change_requests_booking_product_id_fkey";
            columns: ["booking_product_id"];
            isOneToOne: false;
            referencedRelation: "booking_products";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "packing_change_requests_project_fkey";
            columns: ["packing_project_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "packing_projects";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "packing_items": {
        Row: {
          "active": boolean;
          "booking_product_id": number | null;
          "created_at": string;
          "excluded": boolean;
          "id": number;
          "manual_name": string | null;
          "notes": string | null;
          "organization_id": string;
          "packed_at": string | null;
          "packing_project_id": number;
          "quantity_packed": number;
          "quantity_returned": number;
          "quantity_to_pack": number;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "active"?: boolean;
          "booking_product_id"?: number | null;
          "created_at"?: string;
          "excluded"?: boolean;
          "id"?: never;
          "manual_name"?: string | null;
          "notes"?: string | null;
          "organization_id": string;
          "packed_at"?: string | null;
          "packing_project_id": number;
          "quantity_packed"?: number;
          "quantity_returned"?: number;
          "quantity_to_pack"?: number;
          "updated_at"?: string;
        };
        Update: {
          "active"?: boolean;
          "booking_product_id"?: number | null;
          "created_at"?: string;
          "excluded"?: boolean;
          "id"?: never;
          "manual_name"?: string | null;
          "notes"?: string | null;
          "organization_id"?: string;
          "packed_at"?: string | null;
          "packing_project_id"?: number;
          "quantity_packed"?: number;
          "quantity_returned"?: number;
          "quantity_to_pack"?: number;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "packing_items_booking_product_id_fkey";
            columns: ["booking_product_id"];
            isOneToOne: false;
            referencedRelation: "booking_products";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "packing_items_project_fkey";
            columns: ["packing_project_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "packing_projects";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "packing_projects": {
        Row: {
          "active": boolean;
          "booking_id": number;
          "client_name": string | null;
          "created_at": string;
          "delivery_address": string | null;
          "ends_on": string | null;
          "id": number;
          "name": string;
          "needs_review": boolean;
          "notes": string | null;
          "organization_id": string;
          "review_reason": string | null;
          "starts_on": string | null;
          "status": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "active"?: boolean;
          "booking_id": number;
          "client_name"?: string | null;
          "created_at"?: string;
          "delivery_address"?: string | null;
          "ends_on"?: string | null;
          "id"?: never;
          "name": string;
          "needs_review"?: boolean;
          "notes"?: string | null;
          "organization_id": string;
          "review_reason"?: string | null;
          "starts_on"?: string | null;
          "status"?: string;
          "updated_at"?: string;
        };
        Update: {
          "active"?: boolean;
          "booking_id"?: number;
          "client_name"?: string | null;
          "created_at"?: string;
          "delivery_address"?: string | null;
          "ends_on"?: string | null;
          "id"?: never;
          "name"?: string;
          "needs_review"?: boolean;
          "notes"?: string | null;
          "organization_id"?: string;
          "review_reason"?: string | null;
          "starts_on"?: string | null;
          "status"?: string;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "packing_projects_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "packing_tasks": {
        Row: {
          "adjusted_at": string | null;
          "completed_at": string | null;
          "created_at": string;
          "derived_due_on": string | null;
          "due_on": string | null;
          "id": number;
          "kind": string;
          "organization_id": string;
          "packing_project_id": number;
          "sort_order": number;
          "title": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "adjusted_at"?: string | null;
          "completed_at"?: string | null;
          "created_at"?: string;
          "derived_due_on"?: string | null;
          "due_on"?: string | null;
          "id"?: never;
          "kind": string;
          "organization_id": string;
          "packing_project_id": number;
          "sort_order"?: number;
          "title": string;
          "updated_at"?: string;
        };
        Update: {
          "adjusted_at"?: string | null;
          "completed_at"?: string | null;
          "created_at"?: string;
          "derived_due_on"?: string | null;
          "due_on"?: string | null;
          "id"?: never;
          "kind"?: string;
          "organization_id"?: string;
          "packing_project_id"?: number;
          "sort_order"?: number;
          "title"?: string;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "packing_tasks_project_fkey";
            columns: ["packing_project_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "packing_projects";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
      "warehouse_events": {
        Row: {
          "active": boolean;
          "adjusted_at": string | null;
          "basis_day": string;
          "booking_id": number;
          "created_at": string;
          "day_dropped": boolean;
          "delivery_address": string | null;
          "derived_ends_at": string | null;
          "derived_starts_at": string | null;
          "ends_at": string;
          "event_type": string;
          "has_source_changes": boolean;
          "id": number;
          "organization_id": string;
          "starts_at": string;
          "title": string;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "active"?: boolean;
          "adjusted_at"?: string | null;
          "basis_day": string;
          "booking_id": number;
          "created_at"?: string;
          "day_dropped"?: boolean;
          "delivery_address"?: string | null;
          "derived_ends_at"?: string | null;
          "derived_starts_at"?: string | null;
          "ends_at": string;
          "event_type": string;
          "has_source_changes"?: boolean;
          "id"?: never;
          "organization_id": string;
          "starts_at": string;
          "title": string;
          "updated_at"?: string;
        };
        Update: {
          "active"?: boolean;
          "adjusted_at"?: string | null;
          "basis_day"?: string;
          "booking_id"?: number;
          "created_at"?: string;
          "day_dropped"?: boolean;
          "delivery_address"?: string | null;
          "derived_ends_at"?: string | null;
          "derived_starts_at"?: string | null;
          "ends_at"?: string;
          "event_type"?: string;
          "has_source_changes"?: boolean;
          "id"?: never;
          "organization_id"?: string;
          "starts_at"?: string;
          "title"?: string;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "warehouse_events_booking_fkey";
            columns: ["booking_id", "organization_id"];
            isOneToOne: false;
            referencedRelation: "bookings";
            referencedColumns: ["id", "organization_id"];
          },
        ];
      };
    };
    Views: {
      [_ in never]: never;
    };
    Functions: {
      "accept_absence": {
        Args: { "booking_id": number; "by": string; "collection": string };
        Returns: number;
      };
      "apply_headout_event": {
        Args: {
          "body"?: Json;
          "event_timestamp": string;
          "event_type": string;
          "external_id": string;
          "headers"?: Json;
          "organization_id"?: string;
        };
        Returns: {
          "booking_id": number;
          "delivery_id": string;
          "lease_token": string;
          "new_status": string;
          "old_status": string;
          "organization_id": string;
          "outcome": string;
          "processed_at": string;
        }[];
      };
      "apply_snapshots": {
        Args: {
          "compares"?: boolean;
          "deliveries"?: Json;
          "delivery_id"?: string;
          "dry_run"?: boolean;
          "force"?: boolean;
          "lease_token"?: string;
          "organization_id": string;
          "run_id"?: string;
          "snapshots": Json;
          "source": Database["public"]["Enums"]["booking_source"];
        };
        Returns: {
          "booking_id": number;
          "changes": Json;
          "error": Json;
          "external_id": string;
          "verdict": string;
          "warnings": Json;
        }[];
      };
      "begin_run": {
        Args: {
          "mode": string;
          "organization_id": string;
          "parameters"?: Json;
          "source": Database["public"]["Enums"]["booking_source"];
        };
        Returns: {
          "checkpoint": Json;
          "counters": Json;
          "cursor": string;
          "lease_token": string;
          "outcome": string;
          "parameters": Json;
          "run_id": string;
          "started_at": string;
        }[];
      };
      "checkpoint_run": {
        Args: {
          "checkpoint": Json;
          "counters": Json;
          "force"?: boolean;
          "lease_token": string;
          "run_id": string;
          "sighted_ids"?: Json;
          "snapshots"?: Json;
        };
        Returns: {
          "booking_id": number;
          "changes": Json;
          "error": Json;
          "external_id": string;
          "verdict": string;
        }[];
      };
      "claim_deliveries": {
        Args: {
          "max_deliveries"?: number;
          "only_source"?: Database["public"]["Enums"]["booking_source"];
        };
        Returns: {
          "attempts": number;
          "delivery_id": string;
          "event_type": string;
          "external_id": string;
          "function": string;
          "lease_token": string;
          "organization_id": string;
          "source": Database["public"]["Enums"]["booking_source"];
        }[];
      };
      "claim_refreshes": {
        Args: {
          "max_reads"?: number;
          "only_source"?: Database["public"]["Enums"]["booking_source"];
        };
        Returns: {
          "external_id": string;
          "organization_id": string;
          "source": Database["public"]["Enums"]["booking_source"];
        }[];
      };
      "count_drift": {
        Args: { "run_id": string };
        Returns: {
          "bookings": number;
          "cause": string;
          "fields": number;
          "repaired": number;
        }[];
      };
      "dismiss_absence": {
        Args: { "booking_id": number; "by": string; "collection": string };
        Returns: number;
      };
      "explain_booking": {
        Args: { "booking_id": number };
        Returns: {
          "at": string;
          "delivery_id": string;
          "details": Json;
          "run_id": string;
          "summary": string;
          "what": string;
        }[];
      };
      "finish_delivery": {
        Args: {
          "delivery_id": string;
          "last_error"?: Json;
          "lease_token"?: string;
          "result"?: Json;
          "retry_after_ms"?: number;
          "status": string;
        };
        Returns: {
          "attempts": number;
          "delivery_id": string;
          "finished": boolean;
          "last_error": Json;
          "next_attempt_at": string;
          "result": Json;
          "status": string;
        }[];
      };
      "finish_run": {
        Args: {
          "checkpoint"?: Json;
          "counters"?: Json;
          "error"?: Json;
          "lease_token": string;
          "run_id": string;
          "status": string;
        };
        Returns: {
          "finished": boolean;
        }[];
      };
      "list_connections": {
        Args: {
          "mode"?: string;
          "organization_id"?: string;
          "source"?: Database["public"]["Enums"]["booking_source"];
        };
        Returns: {
          "cursor": string;
          "enabled": boolean;
          "last_started_at": string;
          "organization_id": string;
          "paused": boolean;
          "source": Database["public"]["Enums"]["booking_source"];
        }[];
      };
      "list_drift": {
        Args: { "max_rows"?: number; "run_id": string };
        Returns: {
          "booking_id": number;
          "cause": string;
          "external_id": string;
          "field": string;
          "first_seen_at": string;
          "ours": Json;
          "repaired_at": string;
          "theirs": Json;
        }[];
      };
      "list_resumable_runs": {
        Args: { "max_runs"?: number };
        Returns: {
          "heartbeat_at": string;
          "mode": string;
          "organization_id": string;
          "parameters": Json;
          "run_id": string;
          "source": Database["public"]["Enums"]["booking_source"];
          "status": string;
        }[];
      };
      "map_status_word": {
        Args: {
          "by": string;
          "organization_id": string;
          "source": Database["public"]["Enums"]["booking_source"];
          "status": string;
          "word": string;
        };
        Returns: {
          "external_id": string;
          "verdict": string;
        }[];
      };
      "pass_unchanged": {
        Args: {
          "fetched_at": string;
          "organization_id": string;
          "raw_hashes": Json;
          "source": Database["public"]["Enums"]["booking_source"];
        };
        Returns: {
          "raw_hash": string;
        }[];
      };
      "pause_connection": {
        Args: {
          "organization_id": string;
          "reason": string;
          "source": Database["public"]["Enums"]["booking_source"];
        };
        Returns: undefined;
      };
      "project_bookings": {
        Args: { "booking_ids": (number)[]; "detailed"?: boolean };
        Returns: {
          "booking_id": number;
          "fields": Json;
          "key": string;
          "operation": string;
          "table_name": string;
        }[];
      };
      "prune_deliveries": {
        Args: { "max_rows"?: number };
        Returns: {
          "bodies": number;
          "deliveries": number;
          "runs": number;
        }[];
      };
      "receive_delivery": {
        Args: {
          "body"?: Json;
          "claim"?: boolean;
          "dedupe_key"?: string;
          "event_timestamp"?: string;
          "event_type"?: string;
          "external_id"?: string;
          "function": string;
          "headers"?: Json;
          "last_error"?: Json;
          "organization_id"?: string;
          "source": Database["public"]["Enums"]["booking_source"];
          "status"?: string;
        };
        Returns: {
          "delivery_id": string;
          "duplicate_of": string;
          "last_error": Json;
          "lease_token": string;
          "next_attempt_at": string;
          "organization_id": string;
          "outcome": string;
          "reason": string;
          "result": Json;
          "status": string;
        }[];
      };
      "release_held_changes": {
        Args: { "by": string; "dismiss"?: boolean; "held_change_ids": (number)[] };
        Returns: {
          "booking_id": number;
          "held_change_id": number;
          "outcome": string;
        }[];
      };
      "replay_deliveries": {
        Args: {
          "count_only"?: boolean;
          "delivery_ids"?: (string)[];
          "external_id"?: string;
          "organization_id"?: string;
          "received_from"?: string;
          "received_to"?: string;
          "source"?: Database["public"]["Enums"]["booking_source"];
          "status"?: string;
        };
        Returns: {
          "matched": number;
          "replayed": number;
          "without_booking": number;
        }[];
      };
      "resume_connection": {
        Args: {
          "organization_id": string;
          "source": Database["public"]["Enums"]["booking_source"];
        };
        Returns: undefined;
      };
      "resume_run": {
        Args: { "run_id": string };
        Returns: {
          "checkpoint": Json;
          "counters": Json;
          "cursor": string;
          "lease_token": string;
          "mode": string;
          "organization_id": string;
          "outcome": string;
          "parameters": Json;
          "run_id": string;
          "source": Database["public"]["Enums"]["booking_source"];
          "started_at": string;
        }[];
      };
      "stored_files": {
        Args: { "paths": (string)[] };
        Returns: {
          "path": string;
        }[];
      };
      "sweep_files": {
        Args: { "max_files"?: number };
        Returns: {
          "path": string;
        }[];
      };
      "sync_status": {
        Args: Record<PropertyKey, never>;
        Returns: {
          "cursor": string;
          "cursor_lag": string;
          "dead": number;
          "deliveries_last_hour": number;
          "disagreeing": number;
          "doubted": number;
          "due": number;
          "enabled": boolean;
          "held": number;
          "last_delivery_at": string;
          "last_success_at": string;
          "odd_today": Json;
          "oldest_undone_at": string;
          "organization_id": string;
          "organization_name": string;
          "overdue": number;
          "pause_reason": string;
          "paused_at": string;
          "processing": number;
          "runs": Json;
          "source": Database["public"]["Enums"]["booking_source"];
          "stalest_read_at": string;
          "usual_deliveries_in_this_hour": number;
        }[];
      };
    };
    Enums: {
      "booking_phase": "rig" | "event" | "rigdown";
      "booking_source": "eventflow" | "headout";
      "booking_status": "OFFER" | "PENDING" | "CONFIRMED" | "CANCELLED" | "REJECTED";
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Insert: infer I;
    } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends
    {
      Update: infer U;
    } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][
    CompositeTypeName
  ]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {
      "booking_phase": ["rig", "event", "rigdown"],
      "booking_source": ["eventflow", "headout"],
      "booking_status": ["OFFER", "PENDING", "CONFIRMED", "CANCELLED", "REJECTED"],
    },
  },
} as const;
