# The theme "appliance" of Keycloak's pages: the style sheet and the title of the appliance.
#
#   SIGN_IN_TITLE       the name on the pages; empty: the name of the realm
#   KC_SPI_THEME__DEFAULT    set: this theme stays the one of realms that name none

# The themes that "appliance" extends, by their files in the JARs of Keycloak.
has_parents() {
    for parent in themes/keycloak.v2/login account-ui/keycloak.v3/account admin-ui/keycloak.v2/admin; do
        set -- "$home/lib/lib/main/org.keycloak.keycloak-${parent%%/*}"-[0-9]*.jar
        LC_ALL=C grep -qsF "theme/${parent#*/}/theme.properties" "$1" || return 1
    done
}

# furnish_themes FOLDER: makes FOLDER/themes: links to the themes of the program's folder, and "appliance".
furnish_themes() {
    # An earlier version linked the whole folder.
    [ ! -L "$1/themes" ] || rm "$1/themes"
    mkdir -p "$1/themes"
    find "$1/themes" -mindepth 1 -maxdepth 1 -type l -exec rm {} +
    rm -rf "$1/themes/appliance"
    for own in "$home"/themes/*/; do
        [ ! -d "$own" ] || ln -s "${own%/}" "$1/themes/"
    done
    [ ! -e "$1/themes/appliance" ] && has_parents || return 0
    write_theme "$1/themes/appliance"
    # The theme of all realms without one of their own. It must have every type of theme.
    : "${KC_SPI_THEME__DEFAULT:=appliance}"
    export KC_SPI_THEME__DEFAULT
}

# write_theme FOLDER
write_theme() {
    mkdir -p "$1/login/resources/css" "$1/login/resources/img" "$1/account" "$1/admin" "$1/email" "$1/welcome"
    echo 'parent=keycloak.v3' >"$1/account/theme.properties"
    echo 'parent=keycloak.v2' >"$1/admin/theme.properties"
    echo 'parent=keycloak' | tee "$1/email/theme.properties" >"$1/welcome/theme.properties"
    # The style sheet has a dark look of its own.
    cat >"$1/login/theme.properties" <<'END'
parent=keycloak.v2
styles=css/styles.css css/appliance.css
darkMode=false
signInTitle=${env.SIGN_IN_TITLE:}
END
    # The appliance serves its style sheet under each host, so that a reload changes the pages at once.
    echo '@import url("/_appliance/sign-in.css");' >"$1/login/resources/css/appliance.css"
    # The pages of the appliance have no icon.
    : >"$1/login/resources/img/favicon.ico"
    # Keycloak evaluates this file before the head of the page, hence it can also set the page's title.
    cat >"$1/login/footer.ftl" <<'END'
<#assign applianceTitle = (properties.signInTitle)!"">
<#if !applianceTitle?has_content>
  <#assign applianceTitle = (realm.displayName)!"">
<#elseif (title)?? && title == msg("loginTitle", (realm.displayName)!"")>
  <#global title = msg("loginTitle", applianceTitle)>
</#if>
<#macro content>
  <a class="appliance-brand" href="/_appliance/"><span class="appliance-logo"></span><span>${applianceTitle}</span></a>
</#macro>
END
}
