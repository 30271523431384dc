"""Where permissions come from: a role, or a grant for one object. Being superuser is not a source."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from guardian.backends import ObjectPermissionBackend
from guardian.core import ObjectPermissionChecker


class RoleBackend(ModelBackend):
    """Django's own, without its rule that a superuser holds every permission."""

    def _get_permissions(self, user_obj: Any, obj: Any, from_name: str) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        name = f"_{from_name}_role_permissions"
        if not hasattr(user_obj, name):
            found: QuerySet[Permission] = getattr(self, f"_get_{from_name}_permissions")(user_obj)
            pairs = found.values_list("content_type__app_label", "codename").order_by()
            setattr(user_obj, name, {f"{label}.{codename}" for label, codename in pairs})
        held: set[str] = getattr(user_obj, name)
        return held


class ObjectBackend(ObjectPermissionBackend):
    """Guardian's grants for one object, without its rule that a superuser holds every one."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Return whether this person, or a role of theirs, was granted ``perm`` for exactly this object."""
        if obj is None or not user_obj.is_active or user_obj.is_anonymous:
            return False
        label, _, codename = perm.rpartition(".")
        if label and label != obj._meta.app_label:  # noqa: SLF001 - Django's public way to a model's options
            return False
        checker = ObjectPermissionChecker(user_obj)
        return codename in checker.get_user_perms(obj) or codename in checker.get_group_perms(obj)
