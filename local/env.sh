# Prints what `eval "$(make -s local-env)"` runs: with these variables sam, aws, cdk and boto3 reach the local environment
# and nothing else. Usage: env.sh FOLDER REGION PORT. It asks for nothing and prints the same lines whether or not the
# environment runs: an eval of nothing would leave the user on their real account.
ca=$(printf '%s' "$1/.local/ca.pem" | sed "s/'/'\\\\''/g")
case $3 in *[!0-9]*) appfabric=$3 ;; *) appfabric=$(($3 + 1)) ;; esac
cat <<END
unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION
unset AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_IGNORE_CONFIGURED_ENDPOINT_URLS AWS_USE_FIPS_ENDPOINT
unset AWS_USE_DUALSTACK_ENDPOINT \$(env | sed -n 's/^\(AWS_ENDPOINT_URL[A-Z0-9_]*\)=.*/\1/p')
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export AWS_REGION='$2' AWS_DEFAULT_REGION='$2'
export AWS_ENDPOINT_URL='https://127.0.0.1:$3' AWS_ENDPOINT_URL_APPFABRIC='http://127.0.0.1:$appfabric'
export AWS_CA_BUNDLE='$ca' NODE_EXTRA_CA_CERTS='$ca'
export NO_PROXY="127.0.0.1\${NO_PROXY:+,\$NO_PROXY}" no_proxy="127.0.0.1\${no_proxy:+,\$no_proxy}"
export SAM_CLI_POLL_DELAY=0.3 SAM_CLI_TELEMETRY=0
END
